"""Theil-Sen's slope and its exact interval: scipy, all orders, Kendall's table, coverage."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.fitting.robustness.theil_sen import _falling_pairs, rows_beyond, theil_sen
from tests.fitting.given_rows import X6

points = st.lists(
    st.tuples(st.integers(0, 300), st.floats(-20, 20)), min_size=4, max_size=25
).filter(lambda found: len({x for x, _ in found}) > 2)


@given(points)
def test_theil_sens_slope_is_scipys(found):
    x, y = (np.array(values, dtype=float) for values in zip(*found, strict=True))
    with np.errstate(invalid="ignore"):  # scipy's interval has no value where many y are equal
        expected = scipy.stats.theilslopes(y, x).slope
    assert theil_sen(x, y).slope == pytest.approx(expected, abs=1e-9)


@given(points, st.floats(0.1, 9), st.floats(-3, 3))
def test_theil_sen_follows_a_change_of_scale_and_of_slope(found, scale, tilt):
    x, y = (np.array(values, dtype=float) for values in zip(*found, strict=True))
    plain, moved = theil_sen(x, y), theil_sen(x, scale * y + tilt * x)
    assert moved.slope == pytest.approx(scale * plain.slope + tilt, abs=1e-6)
    assert moved.low == pytest.approx(scale * plain.low + tilt, abs=1e-6)
    assert moved.high == pytest.approx(scale * plain.high + tilt, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "critical"), [(5, 10), (6, 13), (7, 15), (8, 18), (9, 20), (10, 23), (11, 27), (12, 30)]
)
def test_the_exact_interval_has_kendalls_critical_values(n, critical):
    """Kendall's S at 5 %, two-sided, as printed in tables of his tau (n = 10: 23 / 45 = 0.511).

    One falling pair less than S = critical is the last slope left outside.
    """
    falling = (n * (n - 1) // 2 - critical) // 2
    assert rows_beyond((1,) * n) == falling + 1


def test_four_rows_have_no_bounded_interval():
    """P(all six pairs rise) = 1/24: not even the extreme slopes reach 95 %."""
    found = theil_sen(np.arange(4.0), np.array([0.0, -1.1, -1.9, -3.2]))
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("tied", [(1,) * 6, (2, 3, 1), (3, 3), (1, 1, 2, 2)])
def test_falling_pairs_are_those_of_all_orders(tied):
    x = np.repeat(range(len(tied)), tied)
    first, second = np.triu_indices(len(x), 1)
    orders = np.array(list(itertools.permutations(range(len(x)))))
    falling = (orders[:, second] < orders[:, first]) & (x[second] > x[first])
    counts = np.bincount(falling.sum(axis=1))
    assert _falling_pairs(tied) == pytest.approx(counts / counts.sum())


def test_theil_sens_exact_interval_covers():
    generator = np.random.default_rng(8)
    x = np.array(X6)
    inside = 0
    for _ in range(2000):
        found = theil_sen(x, -x / 16 + generator.standard_normal(6))
        inside += found.low <= -1 / 16 <= found.high
    assert 0.95 <= inside / 2000 <= 0.995, "at least 95 %, as its distribution has steps"
