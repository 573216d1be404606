"""Properties that every crossing and its interval must have."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.synthetic_curves import TrueCurve
from efficiency_bench.fitting.crossing_interval import crossing_estimate, entry_crossing
from efficiency_bench.fitting.smooth_curve import fit_smooth_curve
from efficiency_bench.target_crossing import LearningCurve
from tests.ledger.factory import make_entry, make_evaluation, make_target

KINDS = ("first", "sustained", "isotonic")
kinds = st.sampled_from(KINDS)
counts = st.lists(st.integers(0, 400), min_size=1, max_size=15)
LOGISTIC = TrueCurve("logistic", threshold=0.8, crossing_epochs=9.3, steepness=1.2)


def curve(accuracies, x=None, val_images=400):
    x = x or [float(i + 1) for i in range(len(accuracies))]
    return LearningCurve(tuple(x), tuple(accuracies), (val_images,) * len(accuracies))


def noiseless(val_images, truth=LOGISTIC, epochs=16):
    return curve([truth.accuracy(i + 1) for i in range(epochs)], val_images=val_images)


def estimates(counts, needed, kind, scale=1.0, schedule_over=True):
    accuracies = [count / 400 for count in counts]
    x = [scale * (i + 1) for i in range(len(counts))]
    target = make_target(value=needed / 400)
    return crossing_estimate(kind, target, curve(accuracies, x), schedule_over)


@given(counts, st.integers(0, 400), kinds, st.booleans())
def test_the_intervals_contain_the_value_and_each_other(counts, needed, kind, schedule_over):
    found = estimates(counts, needed, kind, schedule_over=schedule_over)
    assert 0 <= found.population_low <= found.low
    if found.value is None:
        assert found.right_censored
        assert found.low <= len(counts)
    else:
        assert found.low <= found.value <= (found.high or math.inf)
    if found.population_high is not None:
        assert found.high <= found.population_high


@example([0, 0, 0, 0, 1, 50, 50, 50, 74], 50, "first", 1e-3)  # 4 and 9 are equally near to 6
@given(counts, st.integers(1, 399), kinds, st.floats(1e-3, 1e9))
def test_another_unit_of_x_changes_nothing_else(counts, needed, kind, scale):
    here, there = (estimates(counts, needed, kind, scale=s) for s in (1.0, scale))
    for name in ("value", "low", "high", "population_low", "population_high"):
        before, after = getattr(here, name), getattr(there, name)
        if before is None:
            assert after is None
        else:
            assert after == pytest.approx(before * scale, rel=1e-4)


@given(counts, st.integers(1, 399), st.integers(1, 40), kinds)
def test_a_higher_target_is_never_crossed_earlier(counts, needed, more, kind):
    lower = estimates(counts, needed, kind).value
    higher = estimates(counts, min(needed + more, 400), kind).value
    assert higher is None or (lower is not None and lower <= higher)


@pytest.mark.parametrize("kind", KINDS)
def test_a_curve_without_noise_is_crossed_where_it_is(kind):
    # logistic in x itself: the interpolation's own form, so the value is exact
    accuracies = [1 / (1 + math.exp(-(x - 5.2) / 0.7)) for x in range(1, 12)]
    target = make_target(value=1 / (1 + math.exp(-(5.7 - 5.2) / 0.7)))
    found = crossing_estimate(kind, target, curve(accuracies, val_images=10**9), False)
    assert found.value == pytest.approx(5.7, abs=1e-6)
    assert found.low <= 5.7 <= found.high


def test_the_interval_contains_the_true_crossing_although_interpolation_is_off():
    found = crossing_estimate("first", make_target(value=0.8), noiseless(10**6), False)
    assert math.sqrt(found.low * found.high) == pytest.approx(9.3, rel=1e-3)
    assert found.high / found.low < 1.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "truth", [LOGISTIC, TrueCurve("power", 0.8, 9.3, steepness=1.0, limit_gap=0.1)]
)
def test_the_interval_shrinks_with_the_root_of_the_validation_images(kind, truth):
    target = make_target(value=0.8)
    widths = []
    for val_images in (2_000, 8_000, 32_000):
        found = crossing_estimate(kind, target, noiseless(val_images, truth), False)
        widths.append(math.log(found.high / found.low))
    assert widths[0] > 1.5 * widths[1] > 1.5**2 * widths[2]


def test_sparser_evaluations_widen_it():
    target = make_target(value=0.8)
    fine = crossing_estimate("first", target, noiseless(10_000), False)
    sparse = [x for x in range(1, 17) if x % 4 == 0]
    coarse = curve([LOGISTIC.accuracy(x) for x in sparse], sparse, val_images=10_000)
    rough = crossing_estimate("first", target, coarse, False)
    assert rough.high / rough.low > fine.high / fine.low


def test_scatter_beyond_the_binomial_widens_it():
    # an odd-even swing of 2 points, nine standard errors at 50,000 images
    swinging = [LOGISTIC.accuracy(x) + (0.02 if x % 2 else -0.02) for x in range(1, 17)]
    smooth = crossing_estimate("isotonic", make_target(value=0.8), noiseless(50_000), False)
    rough = crossing_estimate(
        "isotonic", make_target(value=0.8), curve(swinging, val_images=50_000), False
    )
    assert math.log(rough.high / rough.low) > 3 * math.log(smooth.high / smooth.low)
    assert rough.low <= 9.3 <= rough.high


def test_the_ends_are_where_the_curve_is_over_the_target_with_the_stated_probability():
    target, points = make_target(value=0.8), noiseless(2_000)
    found = crossing_estimate("first", target, points, False)
    smooth = fit_smooth_curve(target, points)
    ends = np.log(np.array([found.low, found.high]) / smooth.centre)
    assert smooth.probability_over(ends, shared=False) == pytest.approx([0.025, 0.975], abs=1e-4)
    population = np.log(np.array([found.population_low, found.population_high]) / smooth.centre)
    assert smooth.probability_over(population, shared=True) == pytest.approx(
        [0.025, 0.975], abs=1e-4
    )


@pytest.mark.parametrize("luck", [-1.5, 1.5])
def test_the_population_interval_holds_a_common_error_of_the_whole_set(luck):
    # all evaluations as many standard errors off: an unlucky or a lucky validation set
    error = luck * math.sqrt(0.8 * 0.2 / 2000)
    points = curve([LOGISTIC.accuracy(x) + error for x in range(1, 25)], val_images=2000)
    found = crossing_estimate("isotonic", make_target(value=0.8), points, False)
    assert not found.low <= 9.3 <= found.high
    assert found.population_low < 9.3 < found.population_high


def test_at_the_target_from_the_first_evaluation_on_is_left_censored():
    found = estimates([390, 395, 396], 380, "sustained")
    assert (found.value, found.low, found.left_censored) == (1.0, 0.0, True)


def test_never_crossing_is_right_censored():
    found = estimates([10, 100, 200, 250, 260, 262], 380, "sustained")
    assert found.value is None
    assert found.high is None
    assert found.right_censored
    assert 0 < found.low <= 6


def test_a_curve_that_flattens_at_the_target_is_open_above():
    found = estimates([100, 250, 300, 318, 319, 321, 320, 321], 320, "isotonic")
    assert found.value is not None
    assert found.high is None


def test_two_evaluations_give_a_wide_interval_and_one_gives_none():
    assert estimates([300], 320, "first").value is None
    assert estimates([330], 320, "first").high is None
    assert estimates([100, 390], 320, "first").low <= 2


def test_an_entry_is_read_by_its_own_target_and_ending():
    points = [(i + 1) * 1000 for i in range(6)]
    evaluations = tuple(
        make_evaluation(x, a)
        for x, a in zip(points, (0.2, 0.5, 0.7, 0.85, 0.92, 0.94), strict=True)
    )
    ended = make_entry(evaluations=evaluations, end_reason="schedule")
    failed = make_entry(evaluations=evaluations, end_reason="failed")
    found = entry_crossing(ended, "sustained")
    # log odds at the threshold of 0.9, between those of 0.85 and 0.92, by hand
    logit = {p: math.log(p / (1 - p)) for p in (0.85, 0.9, 0.92)}
    share = (logit[0.9] - logit[0.85]) / (logit[0.92] - logit[0.85])
    assert found.value == pytest.approx(4000 + 1000 * share)
    assert found.low < found.value < found.high
    assert entry_crossing(failed, "sustained").value is None  # two must follow, one does
    assert entry_crossing(make_entry(evaluations=()), "first") is None


def test_an_evaluation_at_zero_images_is_not_on_the_logarithmic_axis():
    accuracies = [0.01, 0.3, 0.6, 0.75, 0.82, 0.86]
    found = crossing_estimate(
        "first", make_target(value=0.8), curve(accuracies, [0.0, 1, 2, 3, 4, 5]), True
    )
    assert 3 < found.value < 4
    assert found.low > 0


def test_points_out_of_order_are_refused():
    with pytest.raises(ValueError, match="order"):
        curve([0.1, 0.2], [2.0, 1.0])
    with pytest.raises(ValueError, match="every point"):
        LearningCurve((1.0,), (0.1, 0.2), (400,))


def test_far_evaluations_count_only_if_few_are_near():
    target, x = make_target(value=0.8), [1.0, 4.0, 16.0, 64.0, 256.0]
    sparse = [curve([0.1, early, 0.6, 0.9, 0.95], x) for early in (0.2, 0.4)]
    one, other = (crossing_estimate("isotonic", target, each, True) for each in sparse)
    assert (one.low, one.high) != (other.low, other.high)
    many = [*range(20, 60, 4)]
    dense = [
        curve([early, *(LOGISTIC.accuracy(v / 4) for v in many)], [4, *many])
        for early in (0.2, 0.4)
    ]
    one, other = (crossing_estimate("isotonic", target, each, True) for each in dense)
    assert one == other
