"""Theil-Sen's slope: the median over all pairs of rows, which no single row can move far.

Theil 1950; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau" (J. Am.
Stat. Assoc. 63).  Its interval comes from Kendall's S and asks nothing of the scatter but that
it has the same distribution in every row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from efficiency_bench.fitting.regression import NORMAL_QUANTILE

TAIL = 0.025
"""Probability beyond each end of a 95 % interval."""

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

    The interval is exact for up to 60 rows (its probability is at least 95 %), beyond it takes
    S to be normal, with Sen's correction for ties.  Fewer than five rows have none that is
    bounded: not even all their slopes reach 95 %.  ValueError where all x are equal.
    """
    order = np.argsort(x, kind="stable")[:: max(1, math.ceil(len(x) / MOST_ROWS))]
    x, y = x[order], y[order]
    n = len(x)
    first, second = np.triu_indices(n, 1)
    apart = x[second] != x[first]
    slopes = np.sort((y[second] - y[first])[apart] / (x[second] - x[first])[apart])
    if not len(slopes):
        raise ValueError("a slope needs two values of x")
    beyond = rows_beyond(tuple(np.unique(x, return_counts=True)[1].tolist()))
    if beyond == 0:
        return MedianSlope(float(np.median(slopes)), -math.inf, math.inf, n)
    low, high = slopes[beyond - 1], slopes[-beyond]
    return MedianSlope(float(np.median(slopes)), float(low), float(high), n)


@lru_cache
def rows_beyond(tied: tuple[int, ...]) -> int:
    """Which slope from either end of the sorted ones ends the interval; 0: none reaches 95 %.

    ``tied``: rows at each x, by x.  It is the largest m for which at most m - 1 falling pairs,
    in rows whose true slope is none, have a probability of at most 2.5 %.
    """
    if sum(tied) <= EXACT_UP_TO:
        return int((np.cumsum(_falling_pairs(tied)) <= TAIL).sum())
    n, ties = sum(tied), np.array(tied)
    correction = float((ties * (ties - 1) * (2 * ties + 5)).sum())
    scatter = math.sqrt((n * (n - 1) * (2 * n + 5) - correction) / 18)
    pairs = (n * (n - 1) - float((ties * (ties - 1)).sum())) / 2
    return max(0, math.floor((pairs - NORMAL_QUANTILE * scatter) / 2))


def _falling_pairs(tied: tuple[int, ...]) -> NDArray[np.float64]:
    """Probability of 0, 1, 2, ... falling pairs among rows in random order.

    Rows at one x form no pairs among themselves; those with all earlier ones are Mann and
    Whitney's U, and independent of the pairs before.
    """
    probabilities, before = np.ones(1), 0
    for group in tied:
        probabilities = np.convolve(probabilities, _mann_whitney(before, group))
        before += group
    return probabilities


@cache
def _mann_whitney(first: int, second: int) -> NDArray[np.float64]:
    """Probability of each U = 0 ... first * second; the largest of all belongs to either."""
    if first == 0 or second == 0:
        return np.ones(1)
    if second == 1:
        return np.full(first + 1, 1 / (first + 1))
    found = np.zeros(first * second + 1)
    found[second:] += first / (first + second) * _mann_whitney(first - 1, second)
    found[: first * (second - 1) + 1] += (
        second / (first + second) * _mann_whitney(first, second - 1)
    )
    return found
