"""Power and further rows, against simulated ledgers."""

import numpy as np
import pytest

from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.fitting.robustness.power import further_rows, power
from tests.fitting.given_rows import X6


def test_power_is_that_of_simulated_ledgers():
    """Rows that halve in 12 months, tested against 20: the share rejected is the power."""
    generator = np.random.default_rng(2)
    x = np.array(X6)
    scatter = 1.0
    exact = fit_line(X6, [-m / 12 for m in X6])
    line = exact.__class__(**{**exact.__dict__, "residual_variance": scatter**2})
    rejected = 0
    for _ in range(3000):
        found = fit_line(X6, list(-x / 12 + generator.normal(0, scatter, 6)))
        rejected += not found.slope_low <= -1 / 20 <= found.slope_high
    assert power(line, X6) == pytest.approx(rejected / 3000, abs=0.03)


def test_further_rows_are_the_fewest_that_reach_the_power():
    line = fit_line(X6, [0.5, -3.0, -3.0, -5.5, -4.0, -6.5])
    for needed in further_rows(line, X6):
        assert needed.power_without < 0.8
        assert needed.rows is not None

        def with_more(count, span=needed.span_months):
            return power(line, [*X6, *(X6[-1] + span * (i + 1) / count for i in range(count))])

        assert with_more(needed.rows) >= 0.8
        assert needed.rows == 1 or with_more(needed.rows - 1) < 0.8
