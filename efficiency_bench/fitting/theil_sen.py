"""Theil-Sen's slope: the median over all pairs of rows, which no single row can move far.

Theil 1950; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau" (J. Am.
Stat. Assoc. 63).  Its interval comes from Kendall's S and asks nothing of the scatter but that
it has the same distribution in every row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TAIL = 0.025
"""Probability beyond each end of a 95 % interval."""

NORMAL_QUANTILE = 1.959964
"""Of the standard normal at 97.5 %."""

EXACT_UP_TO = 60
"""Rows up to which the distribution of S is counted out; beyond, it is normal to four digits."""

MOST_ROWS = 2000
"""Two million pairs, a tenth of a second; of more rows every k-th by date is taken."""


@dataclass(frozen=True)
class MedianSlope:
    """A slope with the ends of its 95 % interval, y per x."""

    slope: float
    low: float
    high: float
    n: int
    """Rows that took part."""


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> MedianSlope:
    """The median slope of ``y`` on ``x``; pairs at the same x have none.

    The interval is exact for few rows at distinct x (then its probability is at least 95 %),
    normal with Sen's correction for ties elsewhere.  ValueError where all x are equal.
    """
    order = np.argsort(x, kind="stable")[:: max(1, math.ceil(len(x) / MOST_ROWS))]
    x, y = x[order], y[order]
    n = len(x)
    first, second = np.triu_indices(n, 1)
    apart = x[second] != x[first]
    slopes = np.sort((y[second] - y[first])[apart] / (x[second] - x[first])[apart])
    if not len(slopes):
        raise ValueError("a slope needs two values of x")
    ties = np.unique(x, return_counts=True)[1]
    reach = _reach(n, bool(ties.max() > 1), ties)
    outside = max(1, (len(slopes) - reach) // 2)
    low, high = slopes[outside - 1], slopes[-outside]
    return MedianSlope(float(np.median(slopes)), float(low), float(high), n)


def _reach(n: int, tied: bool, ties: NDArray[np.int64]) -> int:
    """How far S = (rising pairs - falling pairs) stays within its central 95 %."""
    if not tied and n <= EXACT_UP_TO:
        return exact_reach(n)
    correction = float((ties * (ties - 1) * (2 * ties + 5)).sum())
    variance = (n * (n - 1) * (2 * n + 5) - correction) / 18
    return math.floor(NORMAL_QUANTILE * math.sqrt(variance))


@lru_cache
def exact_reach(n: int) -> int:
    """Largest c with P(S >= c + 2) <= 2.5 % for ``n`` rows in random order.

    S is n(n-1)/2 minus twice the inversions of a permutation, which are counted by adding one
    element after the other.
    """
    counts = np.ones(1)
    for size in range(2, n + 1):
        counts = np.convolve(counts, np.ones(size) / size)
    pairs = n * (n - 1) // 2
    tail = 0.0
    for inversions, probability in enumerate(counts):
        tail += probability
        if tail > TAIL:
            # S of this many inversions is still inside; one step of S is 2
            return pairs - 2 * inversions
    return 0
