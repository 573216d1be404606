"""Whether and where a run arrived, at the edges of the stop rule."""

import pytest

from efficiency_bench.ledger.entry import arrival
from efficiency_bench.records import Target, paper3x_tfs_days
from tests.ledger.factory import make_evaluation, make_segment


def found(**overrides):
    """Of a run of two epochs, the whole of its schedule, that was over the target at the end."""
    facts = {"faultless": True, "schedule_over": True, "train_images": 1000}
    return arrival(
        Target(metric="top1", value=0.9),
        [make_evaluation(1000, 0.8), make_evaluation(2000, 0.9)],
        [make_segment(2000)],
        **{**facts, **overrides},
    )


def test_a_crossing_that_only_the_schedules_end_confirms_has_arrived():
    arrived = found()
    assert arrived["reached"]
    assert arrived["sustained_crossing_images"] == pytest.approx(2000)
    assert arrived["paper3x_to_target_tfs_days"] == paper3x_tfs_days([make_segment(2000)])


def test_the_same_curve_cut_short_has_not():
    missed = found(faultless=False)
    assert not missed["reached"]
    assert missed["paper3x_to_target_tfs_days"] is None
    assert missed["first_crossing_images"] == pytest.approx(2000)
