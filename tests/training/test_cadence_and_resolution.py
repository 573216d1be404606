"""Evaluation places and image sides as pure functions."""

from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.config import EvaluationConfig, ProgressiveConfig
from efficiency_bench.records import Target
from efficiency_bench.training.cadence import due, evaluations_per_epoch
from efficiency_bench.training.resolution import all_sides_px, side_px


@given(steps_per_epoch=st.integers(1, 400), per_epoch=st.integers(1, 12), epochs=st.integers(1, 3))
def test_evaluations_an_epoch_are_as_many_as_asked_and_end_it(steps_per_epoch, per_epoch, epochs):
    places = [
        s for s in range(1, steps_per_epoch * epochs + 1) if due(s, steps_per_epoch, per_epoch)
    ]
    assert len(places) == epochs * min(per_epoch, steps_per_epoch)
    assert {steps_per_epoch * e for e in range(1, epochs + 1)} <= set(places)
    gaps = [b - a for a, b in zip([0, *places], places, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_cadence_grows_finer_near_the_target_only():
    cadence = EvaluationConfig(per_epoch=1, per_epoch_near=8, near=0.05)
    target = Target(metric="top1", value=0.9)
    assert evaluations_per_epoch(cadence, target, None) == 1
    assert evaluations_per_epoch(cadence, target, 0.849) == 1
    assert evaluations_per_epoch(cadence, target, 0.851) == 8
    assert evaluations_per_epoch(cadence, None, 0.99) == 1, "a baseline has no target to be near"


def test_sides_grow_in_equal_steps_to_the_full_side():
    progressive = ProgressiveConfig(start_fraction=0.5, until=0.6, stages=3)
    sides = [side_px(progressive, 32, p) for p in (0, 0.29, 0.31, 0.59, 0.6, 1)]
    assert sides == [16, 16, 24, 24, 32, 32]
    assert all_sides_px(progressive, 32) == (16, 24, 32)


@given(
    start=st.floats(0.3, 1),
    until=st.floats(0, 1),
    stages=st.integers(1, 6),
    full=st.sampled_from([16, 32, 128, 224]),
    progress=st.floats(0, 1),
)
def test_every_side_seen_is_among_those_counted(start, until, stages, full, progress):
    progressive = ProgressiveConfig(start_fraction=start, until=until, stages=stages)
    sides = all_sides_px(progressive, full)
    assert side_px(progressive, full, progress) in sides
    assert sides[-1] == full
