"""Rows and seeds: the multivariate normal, numerical integration, analysis of variance."""

import math

import numpy as np
import pytest
import scipy.stats

from efficiency_bench.fitting.interval_likelihood import Outcomes, maximise
from efficiency_bench.fitting.random_intercept import GroupedLikelihood, maximise_grouped

ROWS = 10
GROUPS = np.repeat(np.arange(ROWS), 2)
X = np.linspace(-1.5, 1.5, ROWS)[GROUPS]
DESIGN = np.column_stack([np.ones(2 * ROWS), X])


def drawn(seed, between=0.7, within=0.3):
    generator = np.random.default_rng(seed)
    return -1.5 * X + generator.normal(0, between, ROWS)[GROUPS] + generator.normal(0, within, 20)


def mixed(y):
    """Unit intervals, some open, one point beside an interval of the same row."""
    low, high = np.floor(y), np.floor(y) + 1
    low[3], high[7] = -np.inf, np.inf
    low[0] = high[0] = y[0]
    return low, high


def integrated(low, high, beta, between, within):
    """The log likelihood by a fine sum over the row's departure, nothing clever."""
    u = np.linspace(-9 * between, 9 * between, 200_001)
    total = 0.0
    for row in range(ROWS):
        product = scipy.stats.norm.pdf(u, 0, between)
        for i in np.flatnonzero(row == GROUPS):
            centre = DESIGN[i] @ beta + u
            product = product * (
                scipy.stats.norm.pdf(low[i], centre, within)
                if low[i] == high[i]
                else scipy.stats.norm.cdf(high[i], centre, within)
                - scipy.stats.norm.cdf(low[i], centre, within)
            )
        total += math.log(np.trapezoid(product, u))
    return total


def test_points_have_the_density_of_the_multivariate_normal():
    y = drawn(0)
    likelihood = GroupedLikelihood(DESIGN, Outcomes.from_ends(y[None], y[None]), GROUPS)
    value, _ = likelihood(np.array([0.1, -1.2, math.log(0.6), math.log(0.25)]))
    covariance = 0.6**2 * (GROUPS[:, None] == GROUPS) + 0.25**2 * np.eye(20)
    expected = scipy.stats.multivariate_normal(DESIGN @ [0.1, -1.2], covariance).logpdf(y)
    assert value == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("between", "within"), [(0.6, 0.25), (0.6, 0.02), (0.1, 0.8)])
def test_intervals_are_integrated_however_different_the_scatters(between, within):
    low, high = mixed(drawn(1))
    likelihood = GroupedLikelihood(DESIGN, Outcomes.from_ends(low[None], high[None]), GROUPS)
    value, _ = likelihood(np.array([0.1, -1.2, math.log(between), math.log(within)]))
    assert value == pytest.approx(integrated(low, high, [0.1, -1.2], between, within), abs=1e-6)


@pytest.mark.parametrize("within", [0.25, 0.05, 0.8])
def test_the_gradient_is_that_of_the_value(within):
    low, high = mixed(drawn(1))
    likelihood = GroupedLikelihood(DESIGN, Outcomes.from_ends(low[None], high[None]), GROUPS)
    at = np.array([0.1, -1.2, math.log(0.6), math.log(within)])
    steps = 1e-5 * np.eye(4)
    numerical = [(likelihood(at + s)[0] - likelihood(at - s)[0]) / 2e-5 for s in steps]
    assert likelihood(at)[1] == pytest.approx(numerical, abs=1e-5)


def test_two_seeds_in_every_row_are_the_analysis_of_variance():
    y = drawn(2)
    found = maximise_grouped(DESIGN, Outcomes.from_ends(y[None], y[None]), GROUPS)
    means = y.reshape(ROWS, 2).mean(axis=1)
    within = (
        (y.reshape(ROWS, 2) - means[:, None]) ** 2
    ).sum() / ROWS  # one degree of freedom per row
    line = scipy.stats.linregress(X[::2], means)
    spread = ((means - line.intercept - line.slope * X[::2]) ** 2).mean()
    assert found.coefficients[0] == pytest.approx((line.intercept, line.slope), abs=1e-6)
    assert found.within[0] == pytest.approx(math.sqrt(within), abs=1e-5)
    assert found.scatter[0] == pytest.approx(math.sqrt(spread - within / 2), abs=1e-5)


def test_one_observation_in_every_row_has_the_sum_of_both_scatters():
    y = drawn(3)[::2]
    outcomes = Outcomes.from_ends(y[None], y[None])
    grouped = maximise_grouped(DESIGN[::2], outcomes, np.arange(ROWS))
    single = maximise(DESIGN[::2], outcomes)
    assert grouped.log_likelihood[0] == pytest.approx(single.log_likelihood[0], abs=1e-7)
    assert math.hypot(grouped.scatter[0], grouped.within[0]) == pytest.approx(
        single.scatter[0], rel=1e-4
    )


def test_a_search_from_known_scatters_ends_where_the_whole_search_does():
    low, high = mixed(drawn(4))
    outcomes = Outcomes.from_ends(low[None], high[None])
    whole = maximise_grouped(DESIGN, outcomes, GROUPS)
    near = maximise_grouped(DESIGN, outcomes, GROUPS, near=whole)
    assert near.log_likelihood[0] == pytest.approx(whole.log_likelihood[0], abs=1e-7)
