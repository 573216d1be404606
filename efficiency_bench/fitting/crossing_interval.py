"""A crossing with its 95 % interval: where the true learning curve may have met the target.

The interval is for the true curve, the smooth expected accuracy, not for the noisy evaluations.
It begins where the curve is above the target with a probability of 2.5 % and ends where that
probability is 97.5 % (``smooth_curve`` computes it).  The first, the sustained and the isotonic
crossing estimate the same point, so they share the interval, which is extended if an estimate
lies outside it.  The computation is in closed form, without random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from efficiency_bench.fitting.regression import CONFIDENCE, t_quantile
from efficiency_bench.fitting.smooth_curve import fit_smooth_curve
from efficiency_bench.records import Entry, Record, Target
from efficiency_bench.target_crossing import (
    CrossingKind,
    LearningCurve,
    crossing_of,
    entry_curve,
    located,
)

Interval = tuple[float, float | None]
"""Low and high ends; 0 and None if that side is open."""

LOW_PROBABILITY = (1 - CONFIDENCE) / 2
HIGH_PROBABILITY = (1 + CONFIDENCE) / 2
SCAN_POINTS = 201
"""Grid points over the reach; an end is then refined between two of them."""
NARROWINGS, NARROWING_POINTS = 5, 9
"""Each of five refinements divides the width by eight: 2 * reach / 200 / 8**5, under one part in a
million of x."""


class CrossingEstimate(Record):
    """Where a target was crossed, in images or in the unit of the curve's x."""

    kind: CrossingKind
    value: float | None
    """None if the run never crossed the target, or never confirmed the crossing."""
    low: float
    """Lower end of the 95 % interval of the true curve's crossing; 0: unbounded below."""
    high: float | None
    """Upper end; None: unbounded, since the curve may be flat or the run ended too soon."""
    population_low: float
    """The same for new validation images of the same kind.  It is valid however strongly the errors
    of a run's evaluations are correlated; they share their validation images."""
    population_high: float | None
    left_censored: bool
    """Whether the first evaluation already met the target, so that ``value`` is an upper bound."""
    seeds: int = 1

    @property
    def right_censored(self) -> bool:
        """Whether the run never crossed the target, or the interval has no upper end."""
        return self.high is None


def crossing_estimate(
    kind: CrossingKind, target: Target, curve: LearningCurve, schedule_over: bool
) -> CrossingEstimate:
    """Return one kind of crossing of ``curve`` with its interval, in the unit of ``curve.x``.

    ``schedule_over``: whether the run completed its schedule, so that the remaining evaluations
    confirm the crossing.  A run that never crossed has no value and no upper end; its lower end is
    at most its last evaluation.  Raises ValueError for a curve without points.
    """
    if not curve.x:
        raise ValueError("a curve without evaluations has no crossing")
    value = crossing_of(kind, target, curve, schedule_over)
    missed = value is not None and located(kind, target, curve, schedule_over)[1] == 0
    last = curve.x[-1]
    low, high = _stretched(_true_curve_interval(target, curve, False), value, missed, last)
    wide = _true_curve_interval(target, curve, True)
    population_low, population_high = _stretched(wide, value, missed, last)
    return CrossingEstimate(
        kind=kind,
        value=value,
        low=low,
        high=high,
        population_low=min(low, population_low),
        population_high=None
        if high is None or population_high is None
        else max(high, population_high),
        left_censored=missed,
    )


def entry_crossing(entry: Entry, kind: CrossingKind) -> CrossingEstimate | None:
    """Return the crossing of an entry's own target, in training images.

    Imported curves work as well.  None without evaluations or without a target.  A run that never
    crossed has an estimate whose ``value`` and ``high`` are None and whose ``low`` is a bound.
    """
    if not entry.evaluations or entry.target is None:
        return None
    curve, schedule_over = entry_curve(entry)
    return crossing_estimate(kind, entry.known_target, curve, schedule_over)


def _stretched(interval: Interval, value: float | None, missed: bool, last: float) -> Interval:
    """Return the interval extended to contain ``value``, open where the crossing is censored."""
    low, high = interval
    if value is None:
        return min(low, last), None
    return 0.0 if missed else min(low, value), None if high is None else max(high, value)


@lru_cache(maxsize=256)  # the kinds of crossing of one curve share it
def _true_curve_interval(target: Target, curve: LearningCurve, shared: bool) -> Interval:
    """Return where the probability of being above the target passes 2.5 % and 97.5 %.

    An end that is not found within the reach is open: 0 below, None above.
    """
    smooth = fit_smooth_curve(target, curve)
    if smooth is None:
        return 0.0, None

    def over(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return smooth.probability_over(u, shared)

    u = np.linspace(-smooth.reach, smooth.reach, SCAN_POINTS)
    probabilities = over(u)
    at = _middle(u, probabilities)
    under = np.flatnonzero(probabilities[: at + 1] <= LOW_PROBABILITY)
    low = -math.inf
    if len(under):
        low = _narrowed(over, LOW_PROBABILITY, u[under[-1]], u[under[-1] + 1])
    above = at + np.flatnonzero(probabilities[at:] >= HIGH_PROBABILITY)
    high = None
    if len(above) and above[0] > 0:
        last = _narrowed(over, HIGH_PROBABILITY, u[above[0] - 1], u[above[0]])
        high = smooth.centre * math.exp(last)
    return smooth.centre * math.exp(low), high


def _middle(u: NDArray[np.float64], probabilities: NDArray[np.float64]) -> int:
    """Return the grid point before the upward passage through 1/2 that is nearest to u = 0."""
    over = probabilities >= 0.5
    upwards = np.flatnonzero(~over[:-1] & over[1:])
    if len(upwards):
        return int(upwards[np.abs(u[upwards]).argmin()])
    return 0 if over[-1] else len(u) - 2  # above everywhere, or not above at the end


def _narrowed(
    over: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    probability: float,
    below: float,
    above: float,
) -> float:
    """Return u at which ``over`` rises to ``probability`` between ``below`` and ``above``."""
    for _ in range(NARROWINGS):
        u = np.linspace(below, above, NARROWING_POINTS)
        passed = int(np.argmax(over(u)[1:] >= probability)) + 1
        below, above = u[passed - 1], u[passed]
    return float(above)


def combine_seeds(estimates: Sequence[CrossingEstimate]) -> CrossingEstimate:
    """Return the geometric mean of several seeds' crossings, with its 95 % interval.

    The interval is Student's t over the seeds' logarithms (S - 1 degrees of freedom), since the
    scatter between seeds includes the error within their curves.  It is never shorter than the
    error within the curves alone, even if the seeds agree by chance.  That error is averaged over
    the seeds, except in the ``population_*`` ends, because all seeds share their validation images.

    If a seed never crossed, the mean is unknown: there is no value and no upper end, and the lower
    end is the lowest one.  If a seed is left-censored, there is no lower end.  A single estimate is
    returned unchanged.  Raises ValueError for no estimates or for different kinds.
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
    """Return half the log width of one seed's interval; if one side is open, that of the other."""
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
