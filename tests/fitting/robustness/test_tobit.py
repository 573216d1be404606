"""Tobit's likelihood: least squares without censoring, a grid with it, and coverage."""

import math

import numpy as np
import pytest
import scipy.stats

from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.fitting.robustness.tobit import (
    censored_line,
    likelihood_drop,
    log_likelihood,
    slope_p_value,
)


class TestCensored:
    X = np.array([0.0, 10, 20, 30, 40, 50, 60, 70])
    Y = np.array([0.3, -0.9, -1.0, -2.2, -2.1, -3.6, -3.5, -4.4])

    def test_without_censoring_it_is_least_squares_by_maximum_likelihood(self):
        found = censored_line(self.X, self.Y, np.zeros(8, dtype=bool))
        line = scipy.stats.linregress(self.X, self.Y)
        residual = self.Y - line.intercept - line.slope * self.X
        assert found.slope == pytest.approx(line.slope, rel=1e-6)
        assert found.scatter == pytest.approx(math.sqrt((residual**2).mean()), rel=1e-5)
        exact = fit_line(list(self.X), list(self.Y))
        assert (found.low, found.high) == pytest.approx((exact.slope_low, exact.slope_high))

    def test_the_drop_of_many_rows_is_chi_squareds(self):
        assert likelihood_drop(100_000) == pytest.approx(scipy.stats.chi2.ppf(0.95, 1) / 2, 1e-4)

    @pytest.mark.parametrize("bound", [-9.0, -2.5])
    def test_rows_on_a_line_have_no_scatter_and_say_so(self, bound):
        x = np.arange(0.0, 50, 10)
        y = np.append(-x[:4] / 16, bound)
        found = censored_line(x, y, np.array([False] * 4 + [True]))
        assert (found.slope, found.low, found.high) == pytest.approx((-1 / 16,) * 3)

    def test_a_bound_above_an_exact_line_gives_it_scatter(self):
        x = np.arange(0.0, 50, 10)
        y = np.append(-x[:4] / 16, -1.5)
        found = censored_line(x, y, np.array([False] * 4 + [True]))
        assert found.low < -1 / 16 < found.slope < found.high

    def test_with_censoring_it_is_the_best_of_a_grid(self):
        never = np.array([False, True, False, False, True, False, False, False])
        found = censored_line(self.X, self.Y, never)
        centred = self.X - self.X.mean()
        best = max(
            (
                log_likelihood((self.Y - level - slope * centred) * inverse, inverse, never),
                slope,
            )
            for slope in np.linspace(-0.09, -0.04, 51)
            for level in np.linspace(-3, -1, 41)
            for inverse in np.linspace(0.5, 8, 31)
        )
        assert best[0] <= found.log_likelihood + 1e-9
        assert best[0] == pytest.approx(found.log_likelihood, abs=0.05)
        assert best[1] == pytest.approx(found.slope, abs=0.002)

    @pytest.mark.parametrize("months", [12, 16, 24])
    def test_without_censoring_a_slope_is_tested_by_students_t(self, months):
        # shifted by the rate that is tested, it is scipy's test of no slope
        tested = scipy.stats.linregress(self.X, self.Y + self.X / months)
        found = slope_p_value(self.X, self.Y, np.zeros(8, dtype=bool), -1 / months)
        assert found == pytest.approx(tested.pvalue, rel=1e-4)

    def test_the_ends_of_the_interval_have_one_in_twenty_and_the_best_slope_all(self):
        never = np.array([False, True, False, False, True, False, False, False])
        line = censored_line(self.X, self.Y, never)
        for end in (line.low, line.high):
            assert slope_p_value(self.X, self.Y, never, end) == pytest.approx(0.05, rel=1e-3)
        assert slope_p_value(self.X, self.Y, never, line.slope) == pytest.approx(1.0, abs=1e-3)

    def test_on_an_exact_line_only_its_own_slope_is_left(self):
        x = np.arange(0.0, 50, 10)
        never = np.zeros(5, dtype=bool)
        assert slope_p_value(x, -x / 16, never, -1 / 16) == 1.0
        assert slope_p_value(x, -x / 16, never, -1 / 24) == 0.0

    def test_a_run_that_never_arrived_pulls_the_line_up(self):
        never = np.zeros(8, dtype=bool)
        never[-1] = True
        assert (
            censored_line(self.X, self.Y, never).slope
            > censored_line(self.X[:-1], self.Y[:-1], never[:-1]).slope - 1e-9
        )

    def test_it_covers_the_truth_where_dropping_them_does_not(self):
        """Two thirds of late rows stop at what was spent; dropped, the line looks too steep."""
        generator = np.random.default_rng(5)
        x = np.linspace(0, 84, 14)
        inside = 0
        dropped, kept = [], []
        for _ in range(150):
            y = -x / 16 + generator.normal(0, 1, len(x))
            limit = -x / 16 + 0.4  # what each run could spend
            never = y > limit
            if (~never).sum() < 4:
                continue
            found = censored_line(x, np.minimum(y, limit), never)
            inside += found.low <= -1 / 16 <= found.high
            kept.append(found.slope)
            dropped.append(np.polyfit(x[~never], y[~never], 1)[0])
        assert inside / len(kept) > 0.85
        assert np.mean(kept) == pytest.approx(-1 / 16, abs=0.006)

    def test_too_few_rows(self):
        with pytest.raises(ValueError, match="three points"):
            censored_line(self.X, self.Y, np.array([True] * 6 + [False] * 2))
