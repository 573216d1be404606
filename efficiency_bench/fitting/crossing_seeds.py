"""One crossing from the crossings of several seeds: their mean and interval on the log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from efficiency_bench.fitting.crossing_interval import CrossingEstimate
from efficiency_bench.fitting.regression import t_quantile


def combine_seeds(estimates: Sequence[CrossingEstimate]) -> CrossingEstimate:
    """The geometric mean of several seeds' crossings, with its 95 % interval.

    Student's t over the seeds' logarithms (S - 1 degrees of freedom): the scatter between seeds
    contains that within their curves.  Seeds that agree by luck do not make it shorter than
    the error within the curves alone.  That error is averaged over the seeds, except in the
    ``population_*`` ends: all seeds look at the same validation images.

    A seed that never crossed leaves the mean unknown (no value, no upper end, the lowest lower
    end); a left-censored one leaves no lower end.  One estimate is returned as it is.
    ValueError for none, or for several kinds.
    """
    if not estimates or len({estimate.kind for estimate in estimates}) > 1:
        raise ValueError("crossings of one kind, at least one, can be combined")
    if len(estimates) == 1:
        return estimates[0]
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    if len(values) < len(estimates):
        return _censored(estimates)
    logs = [math.log(max(value, math.ulp(0.0))) for value in values]
    n = len(logs)
    mean = math.fsum(logs) / n
    scatter = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (n - 1))
    within = [_within(estimate, estimate.low, estimate.high) for estimate in estimates]
    alone = math.sqrt(math.fsum(half**2 for half in within)) / n
    half = max(t_quantile(n - 1) * scatter / math.sqrt(n), alone)
    offsets = [_within(e, e.population_low, e.population_high) for e in estimates]
    wide = math.hypot(half, math.fsum(offsets) / n)
    missed = any(estimate.left_censored for estimate in estimates)
    open_above = any(estimate.population_high is None for estimate in estimates)
    return CrossingEstimate(
        kind=estimates[0].kind,
        value=math.exp(mean),
        low=0.0 if missed else math.exp(mean - half),
        high=math.exp(mean + half),
        population_low=0.0 if missed else math.exp(mean - wide),
        population_high=None if open_above else math.exp(mean + wide),
        left_censored=missed,
        seeds=n,
    )


def _within(estimate: CrossingEstimate, low: float, high: float | None) -> float:
    """Half the log width of one seed's interval; where one side is open, the other's."""
    value = estimate.value
    sides = []
    if value and low > 0:
        sides.append(math.log(value / low))
    if value and high is not None:
        sides.append(math.log(high / value))
    return math.fsum(sides) / len(sides) if sides else 0.0


def _censored(estimates: Sequence[CrossingEstimate]) -> CrossingEstimate:
    return CrossingEstimate(
        kind=estimates[0].kind,
        value=None,
        low=min(estimate.low for estimate in estimates),
        high=None,
        population_low=min(estimate.population_low for estimate in estimates),
        population_high=None,
        left_censored=any(estimate.left_censored for estimate in estimates),
        seeds=len(estimates),
    )
