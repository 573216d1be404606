"""Maximum likelihood for a linear model whose outcomes are points, intervals or bounds.

``y = X beta + normal error`` with one standard deviation, the scatter.  A point contributes its
density, an interval its probability, and a bound the probability beyond it.  In terms of
``beta / scatter`` and ``1 / scatter`` the log likelihood is concave (Olsen 1978, Econometrica 46,
for bounds; Prekopa's theorem for intervals), so Newton's method converges to the only maximum from
any start.  Many data sets with the same design are fitted at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from efficiency_bench.fitting.regression import Array

Mask = NDArray[np.bool_]

LEAST_SCATTER = 0.01
"""Lower limit of the scatter, log2 of compute: 0.7 %.  Without it, a line through every point would
have a scatter of 0 and an infinite likelihood."""

POINT_WIDTH = 1e-4
"""Width, log2 of compute, below which an interval is treated as a point at its middle."""

MOST_STEPS = 200
"""Newton's method takes about ten."""

IMPROVEMENT = 1e-11
"""A fit has converged if a step gains less log likelihood than this, relative to its size."""

LEAST_STEP = 2.0**-20
"""Smallest fraction of a Newton step that is tried."""

RIDGE = 1e-9
"""Added to the curvature, which vanishes in some directions if all rows are bounds."""

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Maximum:
    """The maximum-likelihood fit of each data set."""

    coefficients: Array
    """[fits, columns]"""
    scatter: Array
    """[fits], standard deviation of the errors."""
    log_likelihood: Array
    """[fits]"""


@dataclass(frozen=True)
class Outcomes:
    """The outcomes y as intervals; both ends are equal for a point."""

    low: Array
    """[fits, rows], minus infinity where open."""
    high: Array
    """[fits, rows], infinity where open."""
    point: Mask

    @classmethod
    def from_ends(cls, low: Array, high: Array) -> Outcomes:
        """Take the ends [fits, rows]; intervals narrower than ``POINT_WIDTH`` become points."""
        closed = np.isfinite(low) & np.isfinite(high)
        width = np.subtract(high, low, out=np.full_like(low, np.inf), where=closed)
        point = width < POINT_WIDTH
        middle = low + np.where(point, width, 0.0) / 2
        return cls(np.where(point, middle, low), np.where(point, middle, high), point)

    def subset(self, fits: NDArray[np.intp]) -> Outcomes:
        """Return the outcomes of these fits."""
        return Outcomes(self.low[fits], self.high[fits], self.point[fits])

    def minus(self, line: Array) -> Outcomes:
        """Return the outcomes minus a line [rows]."""
        return Outcomes(self.low - line, self.high - line, self.point)

    @property
    def finite(self) -> tuple[Array, Array]:
        """Both ends, with 0 where open: every derivative is 0 there."""
        low = np.where(np.isfinite(self.low), self.low, 0.0)
        return low, np.where(np.isfinite(self.high), self.high, 0.0)

    @property
    def midpoints(self) -> Array:
        """The middle of a closed interval, the end of a half-open one, 0 if both ends are open."""
        low, high = self.finite
        known = np.isfinite(self.low).astype(float) + np.isfinite(self.high)
        return np.asarray((low + high) / np.maximum(known, 1.0))

    @property
    def least_scatter(self) -> Array:
        """[fits], lower limit of the scatter: that of values uniform within the closed intervals.

        A ladder cannot resolve a scatter much smaller than the spacing of its rungs.  The best line
        then passes through every interval, and without a limit its slope would look exact.
        """
        closed = np.isfinite(self.low) & np.isfinite(self.high)
        width = np.subtract(self.high, self.low, out=np.zeros_like(self.low), where=closed)
        mean_square = (width**2).sum(axis=1) / np.maximum(closed.sum(axis=1), 1)
        return np.maximum(np.sqrt(mean_square / 12), LEAST_SCATTER)


def maximise(design: Array, outcomes: Outcomes) -> Maximum:
    """Maximise the likelihood of each data set.

    ``design`` [rows, columns] must have full rank and entries of about 1; outcomes must be near 0.
    A row that is open at both ends has no effect.
    """
    ceiling = 1 / outcomes.least_scatter
    unknowns = _start(design, outcomes, ceiling)
    best = _terms(design, outcomes, unknowns).value
    active = np.arange(len(best))
    for _ in range(MOST_STEPS):
        part, before = outcomes.subset(active), best[active]
        moved, value = _step(design, part, ceiling[active], unknowns[active], before)
        unknowns[active], best[active] = moved, value
        active = active[value - before > IMPROVEMENT * np.maximum(1.0, np.abs(value))]
        if len(active) == 0:
            break
    scatter = 1 / unknowns[:, -1]
    return Maximum(unknowns[:, :-1] * scatter[:, None], scatter, best)


def log_mass(low: Array, high: Array) -> Array:
    """Return the log of the standard normal probability between ``low`` and ``high``, elementwise.

    It is accurate far out in either tail.  ``low < high``; either may be infinite.
    """
    upper = low > 0  # mirrored into the lower tail, where there is no cancellation
    a, b = np.where(upper, -high, low), np.where(upper, -low, high)
    log_b = log_ndtr(b)
    with np.errstate(divide="ignore"):
        return np.asarray(log_b + np.log(-np.expm1(np.minimum(log_ndtr(a) - log_b, 0.0))))


def end_density(end: Array, mass: Array, known: Mask) -> Array:
    """Return the normal density at an end over the probability inside; 0 unless ``known``.

    ``mass``: log of the probability inside.
    """
    exponent = np.where(known, -0.5 * end**2 - HALF_LOG_2PI - mass, -np.inf)
    return np.asarray(np.exp(np.minimum(exponent, 300.0)))


@dataclass(frozen=True)
class _Terms:
    """Log likelihood and its derivatives by the standardised ends; a point counts as a high end."""

    value: Array
    """[fits]"""
    by_high: Array
    by_low: Array
    high_high: Array
    low_low: Array
    high_low: Array
    """[fits, rows]"""


def _terms(design: Array, outcomes: Outcomes, unknowns: Array) -> _Terms:
    line, inverse = unknowns[:, :-1] @ design.T, unknowns[:, -1:]
    point = outcomes.point
    below, above = outcomes.low * inverse - line, outcomes.high * inverse - line
    mass = log_mass(np.where(point, -np.inf, below), above)
    low_known, high_known = np.isfinite(outcomes.low), np.isfinite(outcomes.high)
    below, above = np.where(low_known, below, 0.0), np.where(high_known, above, 0.0)
    density = np.log(inverse) - HALF_LOG_2PI - 0.5 * above**2
    by_high = end_density(above, mass, high_known & ~point)
    by_low = end_density(below, mass, low_known & ~point)
    return _Terms(
        value=np.where(point, density, mass).sum(axis=1),
        by_high=np.where(point, -above, by_high),
        by_low=-by_low,
        high_high=np.where(point, -1.0, -by_high * (above + by_high)),
        low_low=by_low * (below - by_low),
        high_low=by_high * by_low,
    )


def _start(design: Array, outcomes: Outcomes, ceiling: Array) -> Array:
    """Return the start, [fits, columns + 1]: least squares through the midpoints."""
    beta = outcomes.midpoints @ np.linalg.pinv(design).T
    residual = outcomes.midpoints - beta @ design.T
    inverse = np.minimum(1 / (np.sqrt((residual**2).mean(axis=1)) + 0.1), ceiling)
    return np.column_stack([beta * inverse[:, None], inverse])


def _step(
    design: Array, outcomes: Outcomes, ceiling: Array, unknowns: Array, best: Array
) -> tuple[Array, Array]:
    """Take a Newton step, halved until the likelihood does not fall; return unknowns and values."""
    move = _newton(design, outcomes, ceiling, unknowns)
    length = np.ones(len(unknowns))
    moved, value = unknowns.copy(), best.copy()
    trying = np.arange(len(unknowns))
    while len(trying):
        tried = unknowns[trying] + length[trying, None] * move[trying]
        tried[:, -1] = np.clip(tried[:, -1], unknowns[trying, -1] / 10, ceiling[trying])
        found = _terms(design, outcomes.subset(trying), tried).value
        better = found >= best[trying]
        moved[trying[better]], value[trying[better]] = tried[better], found[better]
        trying = trying[~better]
        length[trying] /= 2
        trying = trying[length[trying] >= LEAST_STEP]
    return moved, value


def _newton(design: Array, outcomes: Outcomes, ceiling: Array, unknowns: Array) -> Array:
    """Return the Newton step of each fit; 1 / scatter does not move beyond its limit."""
    terms = _terms(design, outcomes, unknowns)
    low, high = outcomes.finite
    inverse = unknowns[:, -1]
    points = outcomes.point.sum(axis=1)
    gradient = np.empty_like(unknowns)
    gradient[:, :-1] = -(terms.by_high + terms.by_low) @ design
    gradient[:, -1] = (terms.by_high * high + terms.by_low * low).sum(axis=1) + points / inverse
    high_any, low_any = terms.high_high + terms.high_low, terms.low_low + terms.high_low
    size = unknowns.shape[1]
    bend = np.empty((len(unknowns), size, size))
    bend[:, :-1, :-1] = np.einsum("fn,np,nq->fpq", high_any + low_any, design, design)
    bend[:, -1, :-1] = bend[:, :-1, -1] = -(high_any * high + low_any * low) @ design
    bend[:, -1, -1] = (
        terms.high_high * high**2 + 2 * terms.high_low * high * low + terms.low_low * low**2
    ).sum(axis=1) - points / inverse**2
    held = (inverse >= (1 - 1e-12) * ceiling) & (gradient[:, -1] > 0)
    bend[held, -1, :] = bend[held, :, -1] = 0.0
    bend[held, -1, -1] = -1.0
    gradient[held, -1] = 0.0
    bend -= RIDGE * np.eye(size)
    return np.asarray(np.linalg.solve(-bend, gradient[:, :, None])[:, :, 0])
