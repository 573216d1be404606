"""A crossing with its 95 % interval: where the true learning curve can have met the target.

The interval speaks of the true curve, the smooth expected accuracy, and not of the noisy points:
it begins where that curve is over the target with 2.5 % probability and ends where with 97.5 %
(``smooth_curve`` says how probable it is).  The first, the sustained and the isotonic crossing
are three estimates of one place, so they share the interval, stretched to hold the estimate
where that lies outside.  Closed form: no random numbers.
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
"""Low and high; 0 and None where that side is open."""

LOW_PROBABILITY = (1 - CONFIDENCE) / 2
HIGH_PROBABILITY = (1 + CONFIDENCE) / 2
SCAN_POINTS = 201
"""Places looked at over the reach; an end is then narrowed down within two of them."""
NARROWINGS, NARROWING_POINTS = 5, 9
"""Five times to an eighth: 2 * reach / 200 / 8**5, under one part in a million of x."""


class CrossingEstimate(Record):
    """Where a target was crossed; in images, or in the unit of the curve's x."""

    kind: CrossingKind
    value: float | None
    """None where the run never crossed, or never confirmed it."""
    low: float
    """95 % interval of the true curve's crossing; 0 where nothing bounds it below."""
    high: float | None
    """None where nothing bounds it above: the curve may be flat, or the run ended too soon."""
    population_low: float
    """The same for new images of the same kind: holds however much the errors of a run's
    evaluations have in common, since they look at the same validation images."""
    population_high: float | None
    left_censored: bool
    """The first evaluation was at the target already: ``value`` is an upper bound."""
    seeds: int = 1

    @property
    def right_censored(self) -> bool:
        """Never crossed, or no upper end can be given."""
        return self.high is None


def crossing_estimate(
    kind: CrossingKind, target: Target, curve: LearningCurve, schedule_over: bool
) -> CrossingEstimate:
    """One kind of crossing of ``curve`` with its interval, in the unit of ``curve.x``.

    ``schedule_over``: the run went to its schedule's end, where the evaluations that remain
    confirm.  A run that never crossed has no value and no upper end; its lower end is at most
    its last evaluation.  ValueError for a curve without points.
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
    """A ledger entry's crossing in training images; None without evaluations or without a target.

    Imported curves too.  The target is the entry's own; a run that never crossed has an
    estimate without value, ``high`` None, ``low`` what it shows at least.
    """
    if not entry.evaluations or entry.target is None:
        return None
    curve, schedule_over = entry_curve(entry)
    return crossing_estimate(kind, entry.known_target, curve, schedule_over)


def _stretched(interval: Interval, value: float | None, missed: bool, last: float) -> Interval:
    """The interval made to hold ``value``, open where the crossing is censored."""
    low, high = interval
    if value is None:
        return min(low, last), None
    return 0.0 if missed else min(low, value), None if high is None else max(high, value)


@lru_cache(maxsize=256)  # the kinds of crossing of one curve share it
def _true_curve_interval(target: Target, curve: LearningCurve, shared: bool) -> Interval:
    """Where the probability to be over the target passes 2.5 % and 97.5 %, around the crossing.

    An end that is not met within the reach is open: 0 below, None above.
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
    """Last place scanned before the probability passes 1/2 upwards, the one nearest to u = 0."""
    over = probabilities >= 0.5
    upwards = np.flatnonzero(~over[:-1] & over[1:])
    if len(upwards):
        return int(upwards[np.abs(u[upwards]).argmin()])
    return 0 if over[-1] else len(u) - 2  # over everywhere, or nowhere up to the end


def _narrowed(
    over: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    probability: float,
    below: float,
    above: float,
) -> float:
    """u at which ``over`` passes ``probability`` upwards between ``below`` and ``above``."""
    for _ in range(NARROWINGS):
        u = np.linspace(below, above, NARROWING_POINTS)
        passed = int(np.argmax(over(u)[1:] >= probability)) + 1
        below, above = u[passed - 1], u[passed]
    return float(above)


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
