"""The shortest schedule whose final accuracy meets the target, with its 95 % interval.

The expected final accuracy is a smooth curve over the length of the schedule.  On the logit scale
against log2 of the epochs it is taken as a straight line that may bend: integrated white noise on
its slope, the prior under which the posterior mean is the cubic smoothing spline (Wahba 1978).
Seeds scatter about it by an amount learned from rungs with several seeds.  The interval holds
every length whose expected accuracy cannot be told from the target's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from efficiency_bench.fitting.regression import CONFIDENCE
from efficiency_bench.records import Entry, Record, Target

Array = NDArray[np.float64]

BEND = 0.3
"""Standard deviation, logits per doubling, by which the slope changes over a doubling.  Chosen by
benchmarks/horizon_coverage.py among 0.3, 0.35 and 0.5: with all, intervals hold what they say, with
this one they are the shortest."""

PRIOR_FREEDOM = 3.0
"""Degrees of freedom that the binomial scatter counts as, before any two seeds were compared: one
seed a rung says nothing of scatter, and seeds of real networks scatter about as the binomial."""

FLAT = 100.0
"""Prior standard deviation of level and slope, logits: as good as none."""

MOST_DOUBLINGS_BEYOND = 1.0
"""How far beyond the schedules tried the curve is believed, doublings."""

SCAN_POINTS_PER_DOUBLING = 64
"""Places looked at; the ends are then interpolated between two of them, 1 % of epochs apart."""


@dataclass(frozen=True)
class Trial:
    """One schedule trained to its end."""

    epochs: float
    accuracy: float
    """Final, a fraction."""
    val_images: int


class Horizon(Record):
    """Where the expected final accuracy meets the target, epochs."""

    epochs: float | None
    """None: no schedule tried was seen to arrive, or none was seen to miss."""
    low_epochs: float
    """95 % interval; 0 where nothing bounds it below."""
    high_epochs: float | None
    """None where nothing bounds it above."""
    trials: int

    @property
    def log2_width(self) -> float:
        """Doublings from one end of the interval to the other; infinite where one is open."""
        if self.high_epochs is None or self.low_epochs <= 0:
            return math.inf
        return math.log2(self.high_epochs / self.low_epochs)


@dataclass(frozen=True)
class Scatter:
    """How far single seeds lie about the expected accuracy."""

    variance: float
    """Logits squared."""
    freedom: float

    @property
    def quantile(self) -> float:
        """Two-sided 95 % quantile of Student's t."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 0.5 + CONFIDENCE / 2))


def by_rung(trials: Iterable[Trial]) -> dict[float, list[Trial]]:
    """Epochs -> its trials, shortest first."""
    rungs: dict[float, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.epochs):
        rungs.setdefault(trial.epochs, []).append(trial)
    return rungs


def logit(accuracy: float, val_images: int) -> float:
    """Log odds of an accuracy, which is kept half an image away from 0 and 1."""
    inside = min(max(accuracy, 0.5 / val_images), 1 - 0.5 / val_images)
    return math.log(inside / (1 - inside))


def scatter(target: Target, rungs: Mapping[float, Sequence[Trial]]) -> Scatter:
    """Variance within rungs, pooled with the binomial one at the target.  ``rungs``: not empty."""
    squares, freedom = 0.0, 0
    for trials in rungs.values():
        heights = [logit(t.accuracy, t.val_images) for t in trials]
        mean = math.fsum(heights) / len(heights)
        squares += math.fsum((h - mean) ** 2 for h in heights)
        freedom += len(heights) - 1
    n = next(iter(rungs.values()))[0].val_images
    p = min(max(target.threshold, 0.5 / n), 1 - 0.5 / n)
    binomial = 1 / (n * p * (1 - p))
    total = freedom + PRIOR_FREEDOM
    return Scatter((squares + PRIOR_FREEDOM * binomial) / total, total)


def horizon(target: Target, trials: Sequence[Trial]) -> Horizon:
    """The horizon and its interval.  ``trials`` have one size of validation set, and may be none.

    The interval speaks of the mean over seeds on these validation images.
    """
    rungs = by_rung(trials)
    if not rungs:
        return Horizon(epochs=None, low_epochs=0.0, high_epochs=None, trials=0)
    noise = scatter(target, rungs)
    x = np.log2(list(rungs))
    sizes = np.array([len(t) for t in rungs.values()], dtype=float)
    goal = logit(target.threshold, trials[0].val_images)
    heights = [math.fsum(logit(t.accuracy, t.val_images) for t in r) for r in rungs.values()]
    y = np.array(heights) / sizes - goal
    span = MOST_DOUBLINGS_BEYOND
    count = math.ceil((x[-1] - x[0] + 2 * span) * SCAN_POINTS_PER_DOUBLING) + 1
    at = np.linspace(x[0] - span, x[-1] + span, count)
    mean, deviation = _posterior(x, y, noise.variance / sizes, at)
    half = noise.quantile * deviation
    inside = (at >= x[0]) & (at <= x[-1])
    place = _first_rise(at[inside], mean[inside])
    met = bool((y >= 0).any())
    start = place if place is not None else (x[0] if met else x[-1])
    low = _outward(at, mean + half, start, -1)
    high = _outward(at, half - mean, start, +1)
    return Horizon(
        epochs=None if place is None else 2.0**place,
        low_epochs=0.0 if low is None else 2.0**low,
        high_epochs=None if high is None else 2.0**high,
        trials=len(trials),
    )


def _posterior(x: Array, y: Array, variances: Array, at: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of the smooth curve at ``at``, given means ``y`` at ``x``."""
    centre = float(x.mean())
    origin = min(float(at.min()), float(x.min()))

    def covariance(a: Array, b: Array) -> Array:
        line = FLAT**2 * (1 + np.outer(a - centre, b - centre))
        least = np.minimum.outer(a - origin, b - origin)
        apart = np.abs(np.subtract.outer(a, b))
        return np.asarray(line + BEND**2 * (least**3 / 3 + least**2 * apart / 2))

    cross = covariance(at, x)
    solved = np.linalg.solve(covariance(x, x) + np.diag(variances), np.column_stack([y, cross.T]))
    mean = cross @ solved[:, 0]
    own = FLAT**2 * (1 + (at - centre) ** 2) + BEND**2 * (at - origin) ** 3 / 3
    variance = own - np.einsum("ij,ji->i", cross, solved[:, 1:])
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _first_rise(at: Array, mean: Array) -> float | None:
    """Where the curve first rises to 0; None where it does not within ``at``."""
    rises = np.flatnonzero((mean[:-1] < 0) & (mean[1:] >= 0))
    return None if len(rises) == 0 else _between(at, mean, int(rises[0]))


def _outward(at: Array, bound: Array, start: float, way: int) -> float | None:
    """The nearest place from ``start`` on where ``bound`` falls under 0; None: nowhere."""
    index = int(np.argmin(np.abs(at - start)))
    while 0 <= index + way < len(at):
        if bound[index] < 0:
            return float(at[index])
        if bound[index + way] < 0:
            return _between(at, bound, min(index, index + way))
        index += way
    return None


def _between(at: Array, values: Array, index: int) -> float:
    """Where the values pass 0 between ``index`` and the next, linearly."""
    a, b = values[index], values[index + 1]
    return float(at[index] + (at[index + 1] - at[index]) * a / (a - b))


@dataclass(frozen=True)
class HorizonCost:
    """What the shortest arriving schedule costs, whole, in one currency's unit."""

    horizon: Horizon
    compute: float | None
    """None: no horizon was found."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval; None where it is open."""


def entries_horizon(entries: Sequence[Entry]) -> Horizon:
    """The horizon from trials of one family that came to their schedules' ends.

    Lengths are the epochs really trained, which whole steps round.
    """
    trials = [
        Trial(entry.epochs, last.accuracy(entry.target.metric), last.val_images)
        for entry in entries
        if entry.end_reason == "schedule" and entry.epochs and entry.evaluations
        for last in entry.evaluations[-1:]
    ]
    return horizon(entries[0].target, trials)


def horizon_cost(entries: Sequence[Entry], whole: Callable[[Entry], float | None]) -> HorizonCost:
    """The cost at the horizon; ``whole`` is that of one trial.

    Epochs cost alike in schedules of about one length, so the trial of the nearest length gives
    the price of an epoch.
    """
    found = entries_horizon(entries)
    priced = [(e.epochs, cost / e.epochs) for e in entries if e.epochs and (cost := whole(e))]

    def at(epochs: float | None) -> float | None:
        if not epochs or not priced:
            return None
        _, price = min(priced, key=lambda p: max(p[0] / epochs, epochs / p[0]))
        return price * epochs

    return HorizonCost(found, at(found.epochs), at(found.low_epochs), at(found.high_epochs))
