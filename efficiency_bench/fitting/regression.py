"""A straight line by least squares, with Student's t interval for its slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # not scipy.stats: half a second of import for one quantile

Array = NDArray[np.float64]

CONFIDENCE = 0.95

NORMAL_QUANTILE = 1.959964
"""97.5 % quantile of the standard normal, for two-sided 95 % intervals."""


@dataclass(frozen=True)
class Line:
    """The line ``y = intercept + slope * x``, fitted to ``n`` points."""

    slope: float
    slope_low: float
    slope_high: float
    """Ends of the 95 % interval, n - 2 degrees of freedom; for six points a normal interval is too
    short."""
    intercept: float
    r_squared: float | None
    """None if all y are equal, since there is no variation to explain."""
    n: int
    x_mean: float
    x_spread: float
    """Sum of squared distances of x from its mean."""
    residual_variance: float
    """Sum of squared residuals over n - 2."""

    @property
    def slope_error(self) -> float:
        """Standard error of the slope."""
        return math.sqrt(self.residual_variance / self.x_spread)

    def at(self, x: float) -> float:
        """Return the line's y at ``x``."""
        return self.intercept + self.slope * x

    def half_width(self, x: float) -> float:
        """Return half the width of the line's 95 % interval (not of a new point's) at ``x``."""
        variance = self.residual_variance * (1 / self.n + (x - self.x_mean) ** 2 / self.x_spread)
        return t_quantile(self.n - 2) * math.sqrt(variance)


def t_quantile(degrees_of_freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t (12.706 at 1, 2.776 at 4)."""
    return float(stdtrit(degrees_of_freedom, 0.5 + CONFIDENCE / 2))


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit ``y`` on ``x`` by least squares.

    Raises ValueError for fewer than three points, or a single value of x.
    """
    n = len(x)
    if n < 3 or min(x) == max(x):
        raise ValueError("a line with an interval needs three points at two values of x")
    x_mean = math.fsum(x) / n
    # the mean of equal values may be off by a rounding error, which would look like a slope
    y_mean = y[0] if min(y) == max(y) else math.fsum(y) / n
    dx, dy = [v - x_mean for v in x], [v - y_mean for v in y]
    x_spread = math.fsum(v * v for v in dx)
    y_spread = math.fsum(v * v for v in dy)
    slope = math.fsum(a * b for a, b in zip(dx, dy, strict=True)) / x_spread
    residual = math.fsum((b - slope * a) ** 2 for a, b in zip(dx, dy, strict=True))
    variance = residual / (n - 2)
    margin = t_quantile(n - 2) * math.sqrt(variance / x_spread)
    return Line(
        slope=slope,
        slope_low=slope - margin,
        slope_high=slope + margin,
        intercept=y_mean - slope * x_mean,
        r_squared=1 - residual / y_spread if y_spread > 0 else None,
        n=n,
        x_mean=x_mean,
        x_spread=x_spread,
        residual_variance=variance,
    )
