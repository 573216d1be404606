"""The stop rule against its definition, by brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from efficiency_bench.records import Target
from efficiency_bench.stop_rule import (
    chance_level,
    first_index,
    least_target,
    metric_of_start,
    sustained_index,
)

CURVES = st.lists(st.sampled_from([0.1, 0.7899, 0.7905, 0.791, 0.9]), max_size=9)


def test_torchvisions_alexnet_meets_the_target_only_with_the_tolerance():
    strict = Target(metric="top5", value=0.791)
    rounded = Target(metric="top5", value=0.791, tolerance=0.0005)
    assert not strict.met_by(0.79066)
    assert rounded.met_by(0.79066)
    assert not rounded.met_by(0.79049)


def test_a_level_that_is_a_count_of_images_is_met_by_the_same_count():
    level = sum([349 / 360, 350 / 360, 348 / 360]) / 3
    assert Target(metric="top1", value=level).met_by(349 / 360)
    assert not Target(metric="top1", value=level).met_by(348 / 360)


def test_falling_below_the_target_undoes_confirmation():
    target = Target(metric="top1", value=0.5, confirmations=2)
    curve = [0.4, 0.6, 0.4, 0.6, 0.6, 0.6]
    assert first_index(target, curve) == 1
    assert sustained_index(target, curve, schedule_over=False) == 3
    assert sustained_index(target, curve[:5], schedule_over=False) is None
    assert sustained_index(target, curve[:5], schedule_over=True) == 3


def test_the_final_evaluation_confirms_itself():
    target = Target(metric="top1", value=0.5, confirmations=2)
    assert sustained_index(target, [0.1, 0.6], schedule_over=False) is None
    assert sustained_index(target, [0.1, 0.6], schedule_over=True) == 1


@given(curve=CURVES, confirmations=st.integers(0, 3), over=st.booleans())
def test_sustained_is_the_first_index_that_enough_later_evaluations_confirm(
    curve, confirmations, over
):
    target = Target(metric="top5", value=0.791, tolerance=0.0005, confirmations=confirmations)
    holds = [a >= 0.7905 for a in curve]
    expected = None
    for i in range(len(curve)):
        window = holds[i : i + 1 + confirmations]
        if all(window) and (len(window) == 1 + confirmations or over):
            expected = i
            break
    assert sustained_index(target, curve, over) == expected


@given(curve=CURVES)
def test_growing_the_curve_never_moves_a_confirmed_crossing(curve):
    target = Target(metric="top5", value=0.791, confirmations=2)
    found = None
    for n in range(len(curve) + 1):
        now = sustained_index(target, curve[:n], schedule_over=False)
        assert found is None or now == found
        found = now


@pytest.mark.parametrize(
    ("metric", "classes", "val_images", "percent"),
    [("top1", 10, 100, 19.0), ("top1", 1000, 50_000, 0.1424), ("top5", 100, 10_000, 5.6538)],
)
def test_random_guessing_rarely_reaches_the_least_target(metric, classes, val_images, percent):
    """The percentages are computed by hand, the probability from the binomial distribution."""
    least = least_target(metric, classes, val_images)
    assert 100 * least == pytest.approx(percent, abs=5e-5)
    by_luck = binom.sf(least * val_images, val_images, chance_level(metric, classes))
    assert 1 / 2000 < by_luck < 1 / 300


@pytest.mark.parametrize(
    ("classes", "asked", "shown"),
    [(99, None, "top1"), (100, None, "top5"), (100, "top1", "top1"), (10, "top5", "top5")],
)
def test_a_baseline_is_shown_in_its_requested_metric(classes, asked, shown):
    start = {"target": None, "classes": classes, "config": {"target": {"metric": asked}}}
    assert metric_of_start(start) == shown
    assert metric_of_start({"target": {"metric": shown}, "classes": classes}) == shown
