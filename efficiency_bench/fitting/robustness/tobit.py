"""Tobit's likelihood: a run that never arrived says that its compute lies above what it spent.

Tobin 1958, "Estimation of relationships for limited dependent variables" (Econometrica 26).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, stdtr

from efficiency_bench.fitting.regression import t_quantile

Array = NDArray[np.float64]

NO_SCATTER = 1e-9
"""Of the range of y: below it the rows lie on a line but for rounding."""

MOST_NEWTON_STEPS = 100
"""A handful is enough; the likelihood is concave."""

WIDENINGS = 60
"""Doublings of the step in which an end of the interval is looked for."""


@dataclass(frozen=True)
class CensoredLine:
    """Slope with its 95 % profile-likelihood interval; an end that is not met is infinite."""

    slope: float
    low: float
    high: float
    scatter: float
    """Standard deviation about the line, y."""
    log_likelihood: float
    """Infinite where the rows lie on a line."""


def likelihood_drop(reached: int) -> float:
    """How far the log likelihood falls from its best to an end of the 95 % interval.

    ``n / 2 * log(1 + t^2 / (n - 2))``: without censoring that is Student's interval to the
    digit; for many rows it becomes half of chi-squared's quantile, 1.92, with which an interval
    of six rows would hold the truth 85 % of the time only.
    """
    return 0.5 * reached * math.log1p(t_quantile(reached - 2) ** 2 / (reached - 2))


def censored_line(x: Array, y: Array, censored: NDArray[np.bool_]) -> CensoredLine:
    """Maximum likelihood of ``y = a + b x + normal error``, ``y`` a lower bound where censored.

    ValueError for fewer than three uncensored points or a single x among them.
    """
    seen = ~censored
    if seen.sum() < 3 or np.ptp(x[seen]) == 0:
        raise ValueError("a censored line needs three points that were reached, at two dates")
    line = np.polyfit(x[seen] - x.mean(), y[seen], 1)
    above = y - np.polyval(line, x - x.mean())
    if max(np.abs(above[seen]).max(), above.max()) <= NO_SCATTER * max(1.0, np.ptp(y)):
        return CensoredLine(float(line[0]), float(line[0]), float(line[0]), 0.0, math.inf)
    drop = likelihood_drop(int(seen.sum()))
    scale = float(np.std(x))
    x = (x - x.mean()) / scale  # so that the unknowns are of one size
    level = np.ones_like(x)
    (slope, _, inverse), best = _maximise(np.stack([x, level], axis=1), y, censored)
    scatter = 1 / inverse

    def fallen(candidate: float) -> float:
        """How far the best likelihood at a given slope lies under the best, less the drop."""
        return best - _maximise(level[:, None], y - candidate * x, censored)[1] - drop

    slope *= scatter
    step = scatter / math.sqrt(len(x))
    return CensoredLine(
        slope=slope / scale,
        low=_end(fallen, slope, -step) / scale,
        high=_end(fallen, slope, step) / scale,
        scatter=scatter,
        log_likelihood=best,
    )


def slope_p_value(x: Array, y: Array, censored: NDArray[np.bool_], slope: float) -> float:
    """Two-sided p-value of ``slope`` by the profile likelihood; the rows as ``censored_line``'s.

    The slope at an end of that function's 95 % interval has 0.05; without censoring it is
    Student's t test.
    """
    line = censored_line(x, y, censored)
    if math.isinf(line.log_likelihood):
        return float(math.isclose(line.slope, slope))
    reached = int((~censored).sum())
    level = np.ones((len(x), 1))
    drop = line.log_likelihood - _maximise(level, y - slope * (x - x.mean()), censored)[1]
    # likelihood_drop, solved for t
    t = math.sqrt((reached - 2) * math.expm1(2 * max(drop, 0.0) / reached))
    return float(2 * stdtr(reached - 2, -t))


def log_likelihood(z: Array, inverse_scatter: float, censored: NDArray[np.bool_]) -> float:
    """Of standardised residuals ``z``: a density where y was seen, P(more) where it was not."""
    seen = -0.5 * z[~censored] ** 2 + math.log(inverse_scatter) - 0.5 * math.log(2 * math.pi)
    return float(seen.sum() + log_ndtr(-z[censored]).sum())


def _maximise(
    design: Array, y: Array, censored: NDArray[np.bool_]
) -> tuple[tuple[float, ...], float]:
    """Newton's method in Olsen's unknowns: coefficients over scatter, and 1 / scatter.

    In these the log likelihood is concave (Olsen 1978, Econometrica 46), so every start ends at
    the one maximum.  ``design`` [points, coefficients]; the unknowns, and the maximum.
    """
    seen = ~censored
    start = np.linalg.lstsq(design[seen], y[seen], rcond=None)[0]
    above = y - design @ start
    inverse = 1 / math.sqrt(float((np.where(seen, above, np.maximum(above, 0.0)) ** 2).mean()))
    unknowns = np.append(start * inverse, inverse)
    directions = np.column_stack([-design, y])  # of the residuals, by each unknown

    def value(u: Array) -> float:
        return log_likelihood(directions @ u, u[-1], censored) if u[-1] > 0 else -math.inf

    best = value(unknowns)
    for _ in range(MOST_NEWTON_STEPS):
        z = directions @ unknowns
        hazard = np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(-z))
        pull = np.where(seen, -z, -hazard)
        bend = np.where(seen, 1.0, hazard * (hazard - z))
        gradient = directions.T @ pull
        curvature = (directions * bend[:, None]).T @ directions
        gradient[-1] += seen.sum() / unknowns[-1]
        curvature[-1, -1] += seen.sum() / unknowns[-1] ** 2
        move = np.linalg.solve(curvature, gradient)
        while value(unknowns + move) < best and np.abs(move).max() > 1e-12:
            move = move / 2
        unknowns, before, best = unknowns + move, best, max(best, value(unknowns + move))
        if best - before < 1e-11 * max(1.0, abs(best)):
            break
    return tuple(float(u) for u in unknowns), best


def _end(fallen: Callable[[float], float], slope: float, step: float) -> float:
    """Where the profile has fallen by the drop, from ``slope`` in the direction of ``step``."""
    from scipy.optimize import brentq

    inside = slope
    for _ in range(WIDENINGS):
        outside = inside + step
        if fallen(outside) > 0:
            return float(brentq(fallen, inside, outside, xtol=abs(step) * 1e-6))
        inside, step = outside, 2 * step
    return math.copysign(math.inf, step)
