"""Whether and where a run reached its target, in edge cases of the stop rule."""

import pytest

from efficiency_bench.ledger.entry import target_fields
from efficiency_bench.records import Target, paper3x_tfs_days
from tests.ledger.factory import make_evaluation, make_segment


def found(**overrides):
    """Arrival of a two-epoch run that finished its schedule above the target."""
    facts = {"faultless": True, "schedule_over": True, "train_images": 1000}
    return target_fields(
        Target(metric="top1", value=0.9),
        [make_evaluation(1000, 0.8), make_evaluation(2000, 0.9)],
        [make_segment(2000)],
        **{**facts, **overrides},
    )


def test_a_crossing_confirmed_only_by_the_end_of_the_schedule_counts_as_reached():
    arrived = found()
    assert arrived["reached"]
    assert arrived["sustained_crossing_images"] == pytest.approx(2000)
    assert arrived["paper3x_to_target_tfs_days"] == paper3x_tfs_days([make_segment(2000)])


def test_the_same_curve_without_the_end_of_the_schedule_does_not_count():
    missed = found(faultless=False)
    assert not missed["reached"]
    assert missed["paper3x_to_target_tfs_days"] is None
    assert missed["first_crossing_images"] == pytest.approx(2000)
