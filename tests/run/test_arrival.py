"""Whether and where a run arrived, at the edges of the stop rule."""

import pytest

from efficiency_bench.ledger.entry import arrival
from efficiency_bench.records import Target, paper3x_tfs_days
from efficiency_bench.training.trainer import Ending
from tests.ledger.factory import make_evaluation, make_segment


def ending(images, **overrides):
    fields = {
        "reason": "target",
        "detail": "",
        "steps": images // 10,
        "images": images,
        "epochs": images / 1000,
        "segments": (make_segment(images),),
        "train_seconds": 1.0,
        "evaluation_seconds": 1.0,
    }
    return Ending(**{**fields, **overrides})


def test_a_crossing_that_only_the_schedules_end_confirms_has_arrived():
    target = Target(metric="top1", value=0.9)
    evaluations = [make_evaluation(1000, 0.8), make_evaluation(2000, 0.9)]
    found = arrival(target, ending(2000), evaluations, train_images=1000, total_steps=200)
    assert found["reached"]
    assert found["sustained_crossing_images"] == pytest.approx(2000)
    assert found["paper3x_to_target_tfs_days"] == paper3x_tfs_days([make_segment(2000)])


def test_the_same_curve_cut_short_has_not():
    target = Target(metric="top1", value=0.9)
    evaluations = [make_evaluation(1000, 0.8), make_evaluation(2000, 0.9)]
    found = arrival(
        target, ending(2000, reason="diverged"), evaluations, train_images=1000, total_steps=200
    )
    assert not found["reached"]
    assert found["paper3x_to_target_tfs_days"] is None
    assert found["first_crossing_images"] == pytest.approx(2000)
