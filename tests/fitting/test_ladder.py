"""Ladders: which budgets bracket an accuracy, monotone means, seeds, and levels to draw."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.ladder import Trial, ladder, plausible_levels, seed_ladders

BUDGETS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


def rungs(*accuracies, seed=0):
    """Trials at the largest budgets, as many as there are accuracies."""
    budgets = BUDGETS[-len(accuracies) :]
    return [Trial(b, a, seed) for b, a in zip(budgets, accuracies, strict=True)]


def ends(trials, accuracy):
    found = ladder(trials).compute_to(accuracy)
    return found.low, found.high


def test_compute_lies_above_the_largest_budget_under_and_at_most_at_the_smallest_over():
    assert ends(rungs(0.3, 0.5, 0.6, 0.7), 0.55) == (0.25, 0.5)


def test_a_budget_that_meets_the_accuracy_exactly_has_reached_it():
    assert ends(rungs(0.3, 0.5, 0.6, 0.7), 0.6) == (0.25, 0.5)
    assert ends(rungs(0.3, 0.5, 0.6, 0.7), math.nextafter(0.6, 1)) == (0.5, 1.0)


def test_open_above_if_no_budget_arrives_and_open_below_if_all_do():
    trials = rungs(0.3, 0.5, 0.6, 0.7)
    assert ends(trials, 0.71) == (1.0, math.inf)
    assert ends(trials, 0.3) == (0.0, 0.125)
    assert not ladder(trials).compute_to(0.71).arrived
    assert ladder(trials).compute_to(0.3).arrived


def test_a_drop_in_accuracy_is_pooled_and_counted():
    # 0.62 and 0.58 pool to 0.60: neither reaches 0.61, both reach 0.60
    found = ladder(rungs(0.3, 0.62, 0.58, 0.7))
    assert found.accuracies == pytest.approx((0.3, 0.6, 0.6, 0.7))
    assert found.violations == 1
    assert (found.compute_to(0.61).low, found.compute_to(0.61).high) == (0.5, 1.0)
    assert (found.compute_to(0.59).low, found.compute_to(0.59).high) == (0.125, 0.25)


def test_pooling_weighs_a_budget_by_its_seeds():
    trials = [*rungs(0.66, 0.6), *rungs(0.66, 0.6, seed=1)[:1]]
    found = ladder(trials)
    assert found.seeds == (2, 1)
    assert found.accuracies == pytest.approx((0.64, 0.64))
    assert found.means == pytest.approx((0.66, 0.6))


def test_the_mean_over_seeds_decides_and_each_seed_has_its_own_ladder():
    trials = [*rungs(0.4, 0.56, 0.7), *rungs(0.4, 0.46, 0.7, seed=1)]
    assert ends(trials, 0.5) == (0.25, 0.5)
    assert ends(trials, 0.52) == (0.5, 1.0)
    own = seed_ladders(trials)
    assert {seed: own[seed].compute_to(0.5).high for seed in own} == {0: 0.5, 1: 1.0}


@given(
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=7),
    st.floats(0.0, 1.0),
    st.randoms(use_true_random=False),
)
def test_order_of_trials_does_not_matter_and_ends_are_neighbouring_rungs(accuracies, level, random):
    trials = rungs(*accuracies)
    mixed = random.sample(trials, len(trials))
    assert ladder(mixed) == ladder(trials)
    low, high = ends(mixed, level)
    places = [0.0, *ladder(trials).budgets, math.inf]
    assert places.index(high) == places.index(low) + 1


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=7))
def test_a_higher_level_never_needs_less(accuracies):
    low, high = ladder(rungs(*accuracies)).log2_compute_to(np.linspace(0, 1, 101))
    assert (low[1:] >= low[:-1]).all()
    assert (high[1:] >= high[:-1]).all()


def test_plausible_levels_lie_in_equally_probable_parts_of_students_t():
    finals = [0.6195, 0.6495, 0.629]
    levels = plausible_levels(finals, 21)
    error = scipy.stats.sem(finals)
    below = scipy.stats.t.cdf((levels - np.mean(finals)) / error, df=2)
    assert below == pytest.approx((np.arange(21) + 0.5) / 21)
    assert levels[10] == pytest.approx(np.mean(finals))


def test_one_seed_has_its_own_level_alone():
    assert plausible_levels([0.62]).tolist() == [0.62]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: ladder([]), "no trials"),
        (lambda: ladder([Trial(0.0, 0.5)]), r"budget 0\.0 is invalid"),
        (lambda: ladder([Trial(math.inf, 0.5)]), "budget inf is invalid"),
        (lambda: ladder([Trial(0.5, math.nan)]), "accuracy nan is invalid"),
        (lambda: ladder([Trial(0.5, 62.0)]), r"accuracy 62\.0 is invalid"),
        (lambda: plausible_levels([]), "no baseline seeds"),
    ],
)
def test_invalid_input_is_named(bad, message):
    with pytest.raises(UserError, match=message):
        bad()
