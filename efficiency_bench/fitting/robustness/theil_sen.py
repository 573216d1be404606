"""The Theil-Sen slope: the median over all pairs of rows, robust against single rows.

Theil 1950; Sen 1968, "Estimates of the regression coefficient based on Kendall's tau" (J. Am.
Stat. Assoc. 63).  Its interval follows from Kendall's S and assumes only that the scatter has the
same distribution in every row.
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
"""Most rows for the exact distribution of S; with more, it is normal to four digits."""

MOST_ROWS = 2000
"""Most rows: two million pairs, a tenth of a second; of more rows every k-th by date is used."""


@dataclass(frozen=True)
class MedianSlope:
    """A slope with the ends of its 95 % interval, in y per x."""

    slope: float
    low: float
    high: float
    n: int
    """Rows used."""


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> MedianSlope:
    """Return the median slope of ``y`` on ``x`` over all pairs with different x.

    The interval is exact for up to 60 rows (its coverage is at least 95 %).  Beyond, S is assumed
    to be normal, with Sen's correction for ties.  With fewer than five rows the interval is
    unbounded, since even the range of all slopes covers less than 95 %.  Raises ValueError if all
    x are equal.
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
    """Return the rank of the interval's ends from either end of the sorted slopes; 0: unbounded.

    ``tied``: number of rows at each x, by x.  The rank is the largest m such that, if the true
    slope is 0, m - 1 or fewer falling pairs have a probability of at most 2.5 %.
    """
    if sum(tied) <= EXACT_UP_TO:
        return int((np.cumsum(_falling_pairs(tied)) <= TAIL).sum())
    n, ties = sum(tied), np.array(tied)
    correction = float((ties * (ties - 1) * (2 * ties + 5)).sum())
    scatter = math.sqrt((n * (n - 1) * (2 * n + 5) - correction) / 18)
    pairs = (n * (n - 1) - float((ties * (ties - 1)).sum())) / 2
    return max(0, math.floor((pairs - NORMAL_QUANTILE * scatter) / 2))


def _falling_pairs(tied: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the probabilities of 0, 1, 2, ... falling pairs among rows in random order.

    Rows at the same x form no pairs with each other.  Their pairs with all earlier rows follow the
    Mann-Whitney U and are independent of earlier pairs.
    """
    probabilities, before = np.ones(1), 0
    for group in tied:
        probabilities = np.convolve(probabilities, _mann_whitney(before, group))
        before += group
    return probabilities


@cache
def _mann_whitney(first: int, second: int) -> NDArray[np.float64]:
    """Return the probability of each U = 0 ... first * second, by recursion on the largest."""
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
