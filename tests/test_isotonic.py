"""The isotonic fit against scipy's and its defining properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from efficiency_bench.target_crossing import isotonic

points = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50_000)), min_size=1, max_size=60)


@given(points)
def test_it_matches_scipy(pairs):
    values, weights = zip(*pairs, strict=True)
    expected = optimize.isotonic_regression(values, weights=weights).x
    np.testing.assert_allclose(isotonic(values, weights), expected, atol=1e-9)


@given(points)
def test_the_result_never_falls_and_a_rising_curve_is_unchanged(pairs):
    values, weights = zip(*pairs, strict=True)
    fitted = isotonic(values, weights)
    assert np.all(np.diff(fitted) >= 0)
    assert list(isotonic(sorted(values), weights)) == sorted(values)


def test_violators_become_their_weighted_mean():
    assert isotonic([0.1, 0.6, 0.3, 0.9], [1, 1, 2, 1]) == pytest.approx([0.1, 0.4, 0.4, 0.9])


@pytest.mark.parametrize("weights", [[1], [1, 0]])
def test_every_value_needs_a_positive_weight(weights):
    with pytest.raises(ValueError, match="weight"):
        isotonic([0.1, 0.2], weights)
