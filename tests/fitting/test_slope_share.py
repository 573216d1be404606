"""A slope split into MACs per image and images."""

import math

import numpy as np
import pytest

from efficiency_bench.fitting.censored_regression import CensoredRegression, indicators
from efficiency_bench.fitting.slope_share import slope_share

MONTHS = np.array([0.0, 20, 30, 60, 75, 100])


def test_points_are_split_into_the_two_least_squares_slopes():
    generator = np.random.default_rng(0)
    macs, images = 2.0 ** generator.normal(25, 1, 6), 2.0 ** generator.normal(17, 1, 6)
    y = np.log2(3 * macs * images)
    fit = CensoredRegression(MONTHS, y, y).fit()
    found = slope_share(MONTHS, macs, fit.slope_per_month)
    assert found.macs_per_month == pytest.approx(np.polyfit(MONTHS, np.log2(macs), 1)[0])
    assert found.images_per_month == pytest.approx(np.polyfit(MONTHS, np.log2(images), 1)[0])


def test_a_third_of_the_fall_in_macs_is_a_share_of_a_third():
    macs = 1e8 * 2.0 ** (-MONTHS / 60)
    assert slope_share(MONTHS, macs, -1 / 20).macs_share == pytest.approx(1 / 3)


def test_macs_that_grow_have_a_negative_share_and_a_flat_line_none():
    macs = 1e8 * 2.0 ** (MONTHS / 60)
    assert slope_share(MONTHS, macs, -1 / 20).macs_share == pytest.approx(-1 / 3)
    assert slope_share(MONTHS, macs, 0.0).macs_share is None


def test_a_recipe_with_larger_networks_does_not_enter_the_slope():
    months, recipe = np.tile(MONTHS, 2), ["a"] * 5 + ["b"] * 7
    larger = np.array([1.0] * 5 + [4.0] * 7)
    found = slope_share(months, 1e8 * larger * 2.0 ** (-months / 40), -1 / 20, indicators(recipe))
    assert found.macs_share == pytest.approx(0.5)


def test_the_line_of_censored_rows_is_least_squares_through_what_is_expected_of_each():
    """Why censored rows weigh as much as others: the fixed point of the EM algorithm."""
    low = np.array([0.0, -2, -2, -3, -4, -math.inf])
    high = np.array([0.0, -1, math.inf, -2, -3, -5])
    regression = CensoredRegression(MONTHS, low, high)
    fit = regression.fit()
    centre = regression.height(0.0).centre
    grid = np.linspace(-40, 40, 800_001)
    expected = []
    for month, a, b in zip(MONTHS, low, high, strict=True):
        line = centre + fit.slope_per_month * month
        density = np.exp(-0.5 * ((grid - line) / fit.scatter) ** 2) * ((grid >= a) & (grid <= b))
        expected.append(a if a == b else (grid * density).sum() / density.sum())
    assert np.polyfit(MONTHS, expected, 1)[0] == pytest.approx(fit.slope_per_month, abs=1e-5)
