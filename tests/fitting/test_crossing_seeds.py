"""The combined crossing of several seeds, against Student's t from scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from efficiency_bench.fitting.crossing_interval import CrossingEstimate, combine_seeds


def seed(value, half=0.0, **overrides):
    """An estimate whose interval is ``half`` (natural logarithm) to either side."""
    known = value or 1.0
    fields = {
        "kind": "sustained",
        "value": value,
        "low": known * math.exp(-half),
        "high": known * math.exp(half),
        "population_low": known * math.exp(-half),
        "population_high": known * math.exp(half),
        "left_censored": False,
    }
    return CrossingEstimate(**{**fields, **overrides})


def test_it_is_students_t_on_the_logarithms():
    values = [900.0, 1000.0, 1150.0]
    found = combine_seeds([seed(value) for value in values])
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 2, loc=logs.mean(), scale=stats.sem(logs))
    assert found.value == pytest.approx(stats.gmean(values))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.seeds == 3


def test_seeds_that_agree_by_luck_keep_the_error_within_their_curves():
    found = combine_seeds([seed(1000.0, half=0.3)] * 4)
    assert math.log(found.high / found.value) == pytest.approx(0.3 / 2)
    # looking at the same validation images they cannot average this part away
    assert math.log(found.population_high / found.value) == pytest.approx(math.hypot(0.15, 0.3))


def test_one_seed_is_itself():
    assert combine_seeds([seed(1000.0, 0.1)]) == seed(1000.0, 0.1)


def test_a_seed_that_never_crossed_leaves_no_value():
    never = seed(None, low=700.0, population_low=600.0, high=None, population_high=None)
    found = combine_seeds([seed(1000.0, 0.1), never])
    assert found.value is None
    assert found.right_censored
    assert (found.low, found.population_low) == (700.0, 600.0)


def test_a_left_censored_seed_leaves_no_lower_end():
    found = combine_seeds([seed(1000.0, 0.1), seed(900.0, low=0.0, left_censored=True)])
    assert found.low == found.population_low == 0.0
    assert found.left_censored


def test_if_one_side_is_open_the_other_gives_the_error():
    half_open = seed(1000.0, 0.4, high=None, population_high=None)
    found = combine_seeds([half_open] * 2)
    assert math.log(found.value / found.low) == pytest.approx(0.4 / math.sqrt(2))
    assert found.population_high is None


def test_kinds_are_not_mixed():
    with pytest.raises(ValueError, match="one kind"):
        combine_seeds([seed(1.0), seed(1.0, kind="first")])
    with pytest.raises(ValueError, match="at least one"):
        combine_seeds([])
