"""Power and further rows, against simulated rows and ladders."""

import numpy as np
import pytest

from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.fitting.robustness.power import SPAN_MONTHS, rate_powers, t_power
from tests.fitting.given_rows import X6


def test_power_is_that_of_simulated_rows():
    """Rows that halve in 12 months, tested against 24: the share rejected is the power."""
    generator = np.random.default_rng(2)
    x = np.array(X6)
    rejected = 0
    for _ in range(3000):
        found = fit_line(X6, list(-x / 12 + generator.normal(0, 1.0, 6)))
        rejected += not found.slope_low <= -1 / 24 <= found.slope_high
    assert t_power(-1 / 12, -1 / 24, 1.0, X6) == pytest.approx(rejected / 3000, abs=0.03)


def test_a_rate_that_is_true_is_rejected_in_one_of_twenty():
    assert t_power(-1 / 16, -1 / 16, 0.5, X6) == pytest.approx(0.05, abs=1e-3)


def test_further_rows_are_the_fewest_that_reach_the_power():
    (against_16, against_24) = rate_powers(-1 / 11, 1.0, X6)
    assert (against_16.months, against_24.months) == (16, 24)
    for found, stated in ((against_16, 16),):
        assert found.power < 0.8

        def with_more(count, stated=stated):
            added = [X6[-1] + SPAN_MONTHS * (i + 1) / count for i in range(count)]
            return t_power(-1 / 11, -1 / stated, 1.0, [*X6, *added])

        assert with_more(found.further_rows) >= 0.8
        assert with_more(found.further_rows - 1) < 0.8


def test_rows_on_a_line_reject_every_other_rate_at_once():
    sure, equal = rate_powers(-1 / 24, 0.0, X6)
    assert (sure.power, sure.further_rows) == (1, 0)
    assert (equal.power, equal.further_rows) == (0, None)


def test_a_chance_known_from_ladders_takes_the_place_of_students():
    found = rate_powers(-1 / 20, 1.0, X6, [0.9, 0.1])
    assert [row.power for row in found] == [0.9, 0.1]
    assert found[0].further_rows == 0
