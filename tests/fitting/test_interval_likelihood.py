"""The likelihood of points, intervals and bounds, against scipy's own functions and optimizer."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from efficiency_bench.fitting.interval_likelihood import (
    LEAST_SCATTER,
    Outcomes,
    log_mass,
    maximise,
)

X = np.linspace(-1.6, 1.6, 12)
DESIGN = np.column_stack([np.ones(12), X])


def drawn(seed):
    return -1.5 * X + np.random.default_rng(seed).normal(0, 0.8, 12)


def direct(low, high):
    """Coefficients, scatter and maximum by a simplex search on the textbook likelihood."""

    def loss(p):
        line, scatter = DESIGN @ p[:2], math.exp(p[2])
        point = low == high
        a, b = (low - line) / scatter, (high - line) / scatter
        mass = scipy.stats.norm.cdf(b) - scipy.stats.norm.cdf(a)
        with np.errstate(divide="ignore"):
            inside = np.where(point, 0.0, np.log(np.where(point, 1.0, mass)))
        dense = scipy.stats.norm.logpdf(np.where(point, b, 0.0)) - p[2]
        return -(inside + np.where(point, dense, 0.0)).sum()

    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000}
    found = scipy.optimize.minimize(loss, [0.0, -1.0, 0.0], method="Nelder-Mead", options=options)
    return found.x[:2], math.exp(found.x[2]), -found.fun


def bounded_above(y):
    """Points under -0.5 and bounds above: Tobit's case."""
    return np.minimum(y, -0.5), np.where(y > -0.5, np.inf, y)


def unit_rungs(y):
    """Intervals of one unit, open beyond the last on either side, and one point."""
    low, high = np.floor(y), np.floor(y) + 1
    low[high <= -1], high[low >= 1] = -np.inf, np.inf
    low[0] = high[0] = y[0]
    return low, high


def short_intervals(y):
    """Closed intervals of a third of a unit."""
    return np.floor(3 * y) / 3, (np.floor(3 * y) + 1) / 3


@pytest.mark.parametrize("known", [bounded_above, unit_rungs, short_intervals])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_maximum_of_a_direct_search(known, seed):
    low, high = known(drawn(seed))
    found = maximise(DESIGN, Outcomes.from_ends(low[None], high[None]))
    beta, scatter, best = direct(low, high)
    assert found.coefficients[0] == pytest.approx(beta, abs=1e-5)
    assert found.scatter[0] == pytest.approx(scatter, abs=1e-5)
    assert found.log_likelihood[0] == pytest.approx(best, abs=1e-8)


def test_a_batch_of_data_sets_gives_the_same_as_each_alone():
    ends = [unit_rungs(drawn(seed)) for seed in range(30)]
    low, high = (np.array(side) for side in zip(*ends, strict=True))
    together = maximise(DESIGN, Outcomes.from_ends(low, high))
    for i in range(30):
        alone = maximise(DESIGN, Outcomes.from_ends(low[i : i + 1], high[i : i + 1]))
        assert together.coefficients[i] == pytest.approx(alone.coefficients[0], abs=1e-6)
        assert together.log_likelihood[i] == pytest.approx(alone.log_likelihood[0], abs=1e-9)


def test_points_are_least_squares():
    y = drawn(7)
    found = maximise(DESIGN, Outcomes.from_ends(y[None], y[None]))
    line = scipy.stats.linregress(X, y)
    residual = y - line.intercept - line.slope * X
    assert found.coefficients[0] == pytest.approx((line.intercept, line.slope), abs=1e-9)
    assert found.scatter[0] == pytest.approx(math.sqrt((residual**2).mean()), rel=1e-6)


@pytest.mark.parametrize("width", [1e-3, 9e-5, 1e-9])
def test_tiny_intervals_are_points(width):
    y = drawn(8)
    found = maximise(DESIGN, Outcomes.from_ends(y[None] - width / 2, y[None] + width / 2))
    point = maximise(DESIGN, Outcomes.from_ends(y[None], y[None]))
    assert found.coefficients[0] == pytest.approx(point.coefficients[0], abs=1e-6)
    assert found.scatter[0] == pytest.approx(point.scatter[0], abs=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        # beyond the far end lies 1e-17 of what lies beyond the near one
        (39.0, 40.5, scipy.stats.norm.logsf(39.0)),
        (-40.5, -39.0, scipy.stats.norm.logcdf(-39.0)),
        (5.0, math.inf, scipy.stats.norm.logsf(5.0)),
        (-math.inf, 5.0, scipy.stats.norm.logcdf(5.0)),
        (-1.0, 2.0, math.log(scipy.stats.norm.cdf(2.0) - scipy.stats.norm.cdf(-1.0))),
        (3.0, 3.0 + 1e-6, scipy.stats.norm.logpdf(3.0 + 5e-7) + math.log(1e-6)),
    ],
)
def test_log_mass_holds_far_out_in_both_tails_and_for_narrow_intervals(low, high, expected):
    assert float(log_mass(np.array(low), np.array(high))) == pytest.approx(expected, rel=1e-9)


def test_the_scatter_has_the_floor_of_places_drawn_evenly_within_the_intervals():
    low = np.floor(-1.5 * X)[None]  # a line through every interval
    outcomes = Outcomes.from_ends(low, low + 1)
    found = maximise(DESIGN, outcomes)
    assert outcomes.least_scatter[0] == pytest.approx(scipy.stats.uniform(0, 1).std())
    assert found.scatter[0] == pytest.approx(outcomes.least_scatter[0])


def test_points_on_a_line_have_the_least_scatter():
    y = (2 - 1.5 * X)[None]
    found = maximise(DESIGN, Outcomes.from_ends(y, y))
    assert found.scatter[0] == pytest.approx(LEAST_SCATTER)
    assert found.coefficients[0] == pytest.approx((2, -1.5))


def test_a_row_open_at_both_ends_adds_nothing():
    low, high = unit_rungs(drawn(1))
    low[5], high[5] = -np.inf, np.inf
    whole = maximise(DESIGN, Outcomes.from_ends(low[None], high[None]))
    kept = np.arange(12) != 5
    part = maximise(DESIGN[kept], Outcomes.from_ends(low[None, kept], high[None, kept]))
    assert whole.coefficients[0] == pytest.approx(part.coefficients[0], abs=1e-7)
    assert whole.log_likelihood[0] == pytest.approx(part.log_likelihood[0], abs=1e-9)
