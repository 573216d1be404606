"""Pure functions that place the evaluations and set the image side."""

from hypothesis import example, given
from hypothesis import strategies as st

from efficiency_bench.config import EvaluationConfig, ProgressiveConfig
from efficiency_bench.records import Target
from efficiency_bench.stop_rule import due, evaluations_per_epoch
from efficiency_bench.training.schedule import all_sides_px, side_px


@given(steps_per_epoch=st.integers(1, 400), per_epoch=st.integers(1, 12), epochs=st.integers(1, 3))
def test_each_epoch_has_the_requested_evaluations_and_ends_with_one(
    steps_per_epoch, per_epoch, epochs
):
    places = [
        s for s in range(1, steps_per_epoch * epochs + 1) if due(s, steps_per_epoch, per_epoch)
    ]
    assert len(places) == epochs * min(per_epoch, steps_per_epoch)
    assert {steps_per_epoch * e for e in range(1, epochs + 1)} <= set(places)
    gaps = [b - a for a, b in zip([0, *places], places, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def per_epoch(*curve, target=0.5, val_images=10_000, coarse=1):
    cadence = EvaluationConfig(per_epoch=coarse, per_epoch_near=8)
    aim = None if target is None else Target(metric="top1", value=target)
    return evaluations_per_epoch(cadence, aim, curve, chance=0.1, val_images=val_images)


def test_the_cadence_is_fine_if_another_rise_like_the_last_reaches_the_target():
    assert per_epoch() == 1, "nothing is known before the first evaluation"
    assert per_epoch((1.0, 0.29)) == 1, "chance 0.1, now 0.29: 0.48 expected one epoch later"
    assert per_epoch((1.0, 0.31)) == 8
    assert per_epoch((1.0, 0.2), (2.0, 0.34)) == 1
    assert per_epoch((1.0, 0.2), (2.0, 0.36)) == 8
    assert per_epoch((1.0, 0.44), (2.0, 0.45)) == 1, "a slow approach does not refine the cadence"
    assert per_epoch((1.0, 0.7), (2.0, 0.6)) == 8, (
        "above the target the cadence stays fine until it is confirmed"
    )
    assert per_epoch((1.0, 0.99), target=None) == 1, "a baseline has no target to be near"


def test_the_last_rise_is_measured_over_a_full_coarse_interval():
    quarters = [(1.0, 0.20), (1.25, 0.30), (1.5, 0.31), (1.75, 0.32), (2.0, 0.36)]
    assert per_epoch(*quarters) == 8, "0.16 since epoch 1, not 0.04 since the quarter before"
    assert per_epoch((1.0, 0.2), (1.5, 0.36), coarse=2) == 8
    assert per_epoch((1.0, 0.2), (1.5, 0.34), coarse=2) == 2


def test_on_a_flat_curve_within_two_standard_errors_of_the_target_counts_as_near():
    # sqrt(0.48 * 0.52 / n): 0.5 points of 10,000 images, 1.1 points of 2,000
    flat = ((1.0, 0.48), (2.0, 0.48))
    assert per_epoch(*flat, val_images=10_000) == 1
    assert per_epoch(*flat, val_images=2_000) == 8


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
@example(start=0.5, until=1e-297, stages=2, full=16, progress=0.0)
def test_every_side_in_training_is_counted(start, until, stages, full, progress):
    progressive = ProgressiveConfig(start_fraction=start, until=until, stages=stages)
    sides = all_sides_px(progressive, full)
    assert side_px(progressive, full, progress) in sides
    assert sides[-1] == full
