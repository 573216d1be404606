"""Simulated ladders: what they draw, what the fits of many draws say, and the chance to reject."""

import math

import numpy as np
import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored_regression import CensoredRegression
from efficiency_bench.fitting.ladder_design import (
    LadderDesign,
    chances_to_reject,
    rejected,
    simulate,
    slope_probabilities,
)

RUNGS = tuple(2.0**power for power in range(-6, 1))
MONTHS = (0.0, 27, 28, 42, 45, 51, 59, 61, 67, 73, 83, 84, 94, 115)
DESIGN = LadderDesign(MONTHS, (RUNGS,) * len(MONTHS), baseline=0)


def exact(months):
    """A design without seed scatter."""
    return LadderDesign(months, (RUNGS,) * len(months), baseline=0, seed_scatter=0.0)


def test_without_any_scatter_each_row_lies_between_its_two_rungs():
    design = exact((0.0, 10.0, 25.0, 45.0))
    low, high = simulate(design, -1 / 10, 0.0, 3, np.random.default_rng(0))
    for draw in range(3):
        for level in range(low.shape[1]):
            assert low[draw, level].tolist() == [0.0, -2.0, -3.0, -5.0]
            assert high[draw, level].tolist() == [0.0, -1.0, -2.0, -4.0]


def test_rows_beyond_the_rungs_are_open():
    design = LadderDesign((0.0, 90.0, 30.0), ((), RUNGS[2:], RUNGS), baseline=0, seed_scatter=0.0)
    low, high = simulate(design, -1 / 10, 0.0, 1, np.random.default_rng(0))
    assert (low[0, 0, 1], high[0, 0, 1]) == (-math.inf, -4.0)
    low, high = simulate(design, 1 / 10, 0.0, 1, np.random.default_rng(0))
    assert (low[0, 0, 1], high[0, 0, 1]) == (0.0, math.inf)


def test_the_baselines_own_departure_moves_every_other_row():
    design = exact((0.0,) + (10.0,) * 400)
    _, high = simulate(design, 0.0, 0.5, 100, np.random.default_rng(1))
    arrived = np.isfinite(high[:, 0, 1:]).mean(axis=1)
    # rows are compared with a normal baseline: the share is uniform, its deviation 1 / sqrt(12)
    assert arrived.std() == pytest.approx(1 / math.sqrt(12), abs=0.05)


def test_the_probabilities_of_many_draws_are_those_of_each_fit():
    low, high = simulate(DESIGN, -1 / 28, 0.7, 5, np.random.default_rng(2))
    each = np.linspace(-0.06, 0.01, 5)
    found = slope_probabilities(DESIGN.months, low, high, [-1 / 28, 0.0, each])
    for draw in range(5):
        fit = CensoredRegression(DESIGN.months, low[draw], high[draw])
        expected = [fit.probability_below(slope) for slope in (-1 / 28, 0.0, each[draw])]
        assert found[:, draw] == pytest.approx(expected, abs=1e-6)


def test_a_probability_outside_the_interval_is_rejected():
    below = np.array([0.02, 0.03, 0.5, 0.97, 0.98])
    assert rejected(below).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize("months", [12.0, 16.0, 28.0, 50.0, None])
def test_the_interval_holds_the_truth_in_93_to_99_percent_of_draws(months):
    slope = 0.0 if months is None else -1 / months
    low, high = simulate(DESIGN, slope, 0.7, 400, np.random.default_rng(3))
    below = slope_probabilities(DESIGN.months, low, high, [slope])[0]
    held = 1 - rejected(below).mean()
    # 93 to 99 % is held by benchmarks/estimator_coverage.py; 400 draws are right to 1.1 points
    assert 0.915 <= held <= 0.998


def test_power_grows_with_the_distance_between_the_rates():
    chances = {r.months: r.chance for r in chances_to_reject(DESIGN, 16.0, 0.6, draws=200)}
    assert chances[16.0] < 0.1
    assert chances[16.0] < chances[24.0] < chances[None]
    assert chances[None] > 0.95


def test_power_falls_with_the_scatter():
    few, many = (chances_to_reject(DESIGN, 16.0, s, draws=200)[1].chance for s in (1.2, 0.4))
    assert few < many


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: LadderDesign((0.0, 1.0), ((),), baseline=0), "2 dates, 1 ladders"),
        (lambda: LadderDesign((0.0,), ((),), baseline=1), "baseline 1"),
        (lambda: chances_to_reject(DESIGN, 0.0, 0.5), r"0\.0 months is invalid"),
    ],
)
def test_invalid_input_is_named(bad, message):
    with pytest.raises(UserError, match=message):
        bad()
