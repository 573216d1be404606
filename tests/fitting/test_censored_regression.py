"""The halving time of censored rows: least squares without censoring, and invariances."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored_regression import CensoredRegression, indicators
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.reference import published_entries

OPEN = math.inf
MONTHS = np.array([0.0, 27, 28, 42, 45, 51, 59, 61, 67, 73, 83, 84, 94, 115])
RUNGS = np.arange(-6, 1)


def drawn(seed, slope=-1 / 20, scatter=0.7):
    return slope * MONTHS + np.random.default_rng(seed).normal(0, scatter, len(MONTHS))


def laddered(logs):
    """Ends of unit rungs from 2^-6 to 1, open beyond; the first row is a point."""
    places = np.concatenate([[-OPEN], RUNGS, [OPEN]])
    under = np.searchsorted(RUNGS, logs)
    low, high = places[under], places[under + 1]
    low[0] = high[0] = 0.0
    return low, high


def slopes(fit):
    return fit.slope_per_month, fit.slope_low_per_month, fit.slope_high_per_month


class TestClosedForms:
    @pytest.mark.parametrize("rows", [3, 6, 14])
    def test_points_are_least_squares_with_its_t_interval(self, rows):
        y = drawn(1)[:rows] - 20
        fit = CensoredRegression(MONTHS[:rows], y, y).fit()
        line = fit_line(MONTHS[:rows].tolist(), y.tolist())
        assert slopes(fit) == pytest.approx((line.slope, line.slope_low, line.slope_high), rel=1e-5)
        assert (fit.n, fit.n_arrived, fit.n_closed) == (rows, rows, rows)

    def test_p_values_of_points_are_students(self):
        y = drawn(2)
        line = scipy.stats.linregress(MONTHS, y)
        for test in CensoredRegression(MONTHS, y, y).fit().tests:
            stated = 0.0 if test.months is None else -1 / test.months
            t = (line.slope - stated) / line.stderr
            assert test.p_value == pytest.approx(2 * scipy.stats.t.sf(abs(t), 12), rel=1e-4)
        assert [t.months for t in CensoredRegression(MONTHS, y, y).fit().tests] == [16, 24, None]

    def test_the_band_of_points_is_least_squares(self):
        y = drawn(3) - 15
        line = fit_line(MONTHS.tolist(), y.tolist())
        for month in (0.0, 50.0, 130.0):
            found = CensoredRegression(MONTHS, y, y).height(month)
            half = line.half_width(month)
            expected = (line.at(month), line.at(month) - half, line.at(month) + half)
            assert (found.centre, found.low, found.high) == pytest.approx(expected, abs=1e-5)

    def test_two_seeds_in_every_row_have_the_t_interval_of_their_means(self):
        generator = np.random.default_rng(4)
        y = np.repeat(drawn(4), 2) + generator.normal(0, 0.2, 28)
        names = [f"row {i}" for i in np.repeat(np.arange(14), 2)]
        fit = CensoredRegression(np.repeat(MONTHS, 2), y, y, groups=names).fit()
        line = fit_line(MONTHS.tolist(), y.reshape(14, 2).mean(axis=1).tolist())
        assert slopes(fit) == pytest.approx((line.slope, line.slope_low, line.slope_high), rel=1e-4)
        assert fit.n == 14
        assert fit.seed_scatter == pytest.approx(
            math.sqrt(y.reshape(14, 2).var(axis=1, ddof=1).mean()), rel=1e-4
        )

    def test_two_recipes_in_every_architecture_leave_the_t_interval_of_the_means(self):
        generator = np.random.default_rng(5)
        recipes = ["modern", "old"] * 14
        y = np.repeat(drawn(5), 2) + generator.normal(0, 0.3, 28) + np.tile([0.0, 1.3], 14)
        names = np.repeat(np.arange(14), 2).astype(str).tolist()
        regression = CensoredRegression(
            np.repeat(MONTHS, 2), y, y, groups=names, columns=indicators(recipes)
        )
        fit = regression.fit()
        pairs = y.reshape(14, 2)
        line = fit_line(MONTHS.tolist(), pairs.mean(axis=1).tolist())
        assert slopes(fit) == pytest.approx((line.slope, line.slope_low, line.slope_high), rel=1e-4)
        assert fit.column_effects[0] == pytest.approx((pairs[:, 1] - pairs[:, 0]).mean(), rel=1e-4)

    def test_without_two_seeds_in_a_row_there_is_one_scatter(self):
        y = drawn(6)
        named = CensoredRegression(MONTHS, y, y, groups=[f"row {i}" for i in range(14)]).fit()
        assert named.seed_scatter is None
        assert named.scatter == pytest.approx(CensoredRegression(MONTHS, y, y).fit().scatter)

    def test_levels_average_the_probabilities_of_their_fits(self):
        logs = drawn(7)
        ends = [laddered(logs + shift) for shift in (-0.4, 0.0, 0.3)]
        low, high = (np.array(side) for side in zip(*ends, strict=True))
        together = CensoredRegression(MONTHS, low, high)
        for slope in (-0.07, -0.05, 0.0):
            alone = [CensoredRegression(MONTHS, *pair).probability_below(slope) for pair in ends]
            assert together.probability_below(slope) == pytest.approx(np.mean(alone), abs=1e-6)
        middle = CensoredRegression(MONTHS, *ends[1]).fit()
        assert together.fit().slope_per_month == pytest.approx(middle.slope_per_month, abs=1e-7)


class TestMeasured:
    def test_the_published_rows(self):
        rows = fit_rows(published_entries(), Selection()).rows
        y = np.log2([row.known_compute for row in rows])
        fit = CensoredRegression([row.months for row in rows], y, y).fit()
        found = (fit.halving_months, fit.low_months, fit.high_months)
        assert found == pytest.approx((13.7, 9.8, 22.6), abs=0.05)

    def test_the_first_ledgers_rows_until_2019(self):
        """11 rows, 6 of which arrived: 50.2 months [20.6, none] by an earlier Tobit fit."""
        rows = [  # months, 1e-5 teraflop/s-days, arrived
            (0.0, 16.984, True),
            (27.1, 16.012, True),
            (27.5, 5.0736, True),
            (42.3, 9.2894, True),
            (44.8, 11.827, False),
            (58.5, 8.8379, False),
            (67.4, 4.3268, False),
            (72.9, 4.8563, False),
            (75.8, 6.3968, True),
            (83.1, 2.1648, True),
            (83.8, 3.1630, False),
        ]
        months, compute, arrived = zip(*rows, strict=True)
        low = np.log2(compute)
        fit = CensoredRegression(months, low, np.where(arrived, low, OPEN)).fit()
        assert fit.halving_months == pytest.approx(50.2, abs=0.2)
        assert fit.low_months == pytest.approx(20.6, abs=0.1)
        assert fit.high_months is None
        assert fit.tests[0].p_value == pytest.approx(0.013, abs=0.0005)
        assert (fit.n, fit.n_arrived) == (11, 6)
        kept = np.array(arrived)
        reached = CensoredRegression(np.array(months)[kept], low[kept], low[kept]).fit()
        assert reached.halving_months == pytest.approx(36.1, abs=0.1)
        assert reached.low_months == pytest.approx(17.2, abs=0.1)


class TestEnds:
    def test_rows_that_missed_the_target_bound_the_rate_without_an_estimate(self):
        low, high = np.zeros(10), np.full(10, OPEN)
        high[0] = 0.0  # the baseline alone is known
        fit = CensoredRegression(MONTHS[:10], low, high).fit()
        assert fit.slope_per_month is None
        assert fit.slope_high_per_month is None
        assert fit.slope_low_per_month is not None
        assert fit.slope_low_per_month < 0
        assert (fit.halving_months, fit.doubling_months, fit.high_months) == (None, None, None)
        assert (fit.n, fit.n_arrived, fit.n_closed) == (10, 1, 1)
        assert fit.verdict == "not shown to halve"

    def test_rows_that_all_reached_it_show_a_fall_of_unknown_rate(self):
        low, high = np.full(10, -OPEN), np.full(10, -6.0)
        low[0] = high[0] = 0.0
        fit = CensoredRegression(MONTHS[:10], low, high).fit()
        assert fit.slope_per_month is None
        assert fit.low_months == 0.0
        assert fit.high_months is not None
        assert fit.verdict == "halving"

    @pytest.mark.parametrize("sides", [(0.0, OPEN), (-OPEN, 0.0)])
    def test_bounds_on_one_side_alone_say_nothing_about_the_rate(self, sides):
        low, high = (np.full(14, side) for side in sides)
        fit = CensoredRegression(MONTHS, low, high).fit()
        assert slopes(fit) == (None, None, None)
        assert [test.p_value for test in fit.tests] == pytest.approx([1.0, 1.0, 1.0])

    def test_a_slope_that_rises_is_a_doubling(self):
        y = MONTHS / 30 + 0.1 * np.random.default_rng(0).normal(size=14)
        fit = CensoredRegression(MONTHS, y, y).fit()
        assert fit.doubling_months == pytest.approx(30, rel=0.1)
        assert fit.verdict == "doubling"
        assert (fit.halving_months, fit.low_months, fit.high_months) == (None, None, None)

    def test_points_on_a_line_have_almost_no_scatter(self):
        y = -MONTHS / 16
        fit = CensoredRegression(MONTHS, y, y).fit()
        assert fit.halving_months == pytest.approx(16)
        assert fit.scatter == fit.least_scatter
        assert (fit.low_months, fit.high_months) == pytest.approx((16, 16), rel=0.02)

    def test_a_line_through_every_rung_still_has_an_interval(self):
        low, high = laddered(-MONTHS / 28 - 0.3)
        fit = CensoredRegression(MONTHS, low, high).fit()
        assert fit.scatter == fit.least_scatter
        assert fit.slope_high_per_month - fit.slope_low_per_month > 0.01


class TestWhatMustNotMatter:
    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 500), shift=st.floats(-400, 24_000), factor=st.floats(-30, 30))
    def test_shifting_dates_or_scaling_compute_changes_nothing_else(self, seed, shift, factor):
        low, high = laddered(drawn(seed))
        plain = CensoredRegression(MONTHS, low, high).fit()
        moved = CensoredRegression(MONTHS + shift, low + factor, high + factor).fit()
        assert slopes(moved) == pytest.approx(slopes(plain), rel=1e-4, abs=1e-6)
        assert moved.scatter == pytest.approx(plain.scatter, rel=1e-4)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 500), stretch=st.floats(0.1, 10))
    def test_the_unit_of_dates_does_not_matter(self, seed, stretch):
        low, high = laddered(drawn(seed))
        plain = CensoredRegression(MONTHS, low, high).fit()
        found = CensoredRegression(MONTHS * stretch, low, high).fit()
        assert found.halving_months == pytest.approx(plain.halving_months * stretch, rel=1e-4)
        assert found.low_months == pytest.approx(plain.low_months * stretch, rel=1e-4)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 500))
    def test_reversing_time_flips_the_slope(self, seed):
        low, high = laddered(drawn(seed))
        slope, slow, fast = slopes(CensoredRegression(MONTHS, low, high).fit())
        back = slopes(CensoredRegression(-MONTHS, low, high).fit())
        assert back == pytest.approx((-slope, -fast, -slow), rel=1e-4, abs=1e-6)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 500), order=st.permutations(range(14)))
    def test_the_order_of_rows_does_not_matter(self, seed, order):
        low, high = laddered(drawn(seed))
        plain = CensoredRegression(MONTHS, low, high).fit()
        mixed = CensoredRegression(MONTHS[order], low[order], high[order]).fit()
        assert slopes(mixed) == pytest.approx(slopes(plain), rel=1e-4, abs=1e-6)

    def test_the_order_of_seeds_and_names_of_rows_do_not_matter(self):
        low, high = laddered(drawn(8))
        low, high = np.concatenate([low, low - 1]), np.concatenate([high, high])
        months, names = np.tile(MONTHS, 2), [f"row {i}" for i in range(14)] * 2
        plain = CensoredRegression(months, low, high, groups=names).fit()
        order = np.random.default_rng(0).permutation(28)
        renamed = [f"{100 - int(names[i][4:])}" for i in order]
        mixed = CensoredRegression(months[order], low[order], high[order], groups=renamed).fit()
        assert slopes(mixed) == pytest.approx(slopes(plain), rel=1e-3)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 500), row=st.integers(1, 13), above=st.booleans())
    def test_widening_an_interval_never_lowers_the_likelihood(self, seed, row, above):
        low, high = laddered(drawn(seed))
        plain = CensoredRegression(MONTHS, low, high).fit().log_likelihood
        if above and np.isfinite(low[row]):
            high[row] = OPEN
        elif np.isfinite(high[row]):
            low[row] = -OPEN
        assert CensoredRegression(MONTHS, low, high).fit().log_likelihood >= plain - 1e-8

    def test_a_row_without_information_changes_nothing(self):
        low, high = laddered(drawn(9))
        plain = CensoredRegression(MONTHS, low, high).fit()
        longer = CensoredRegression([*MONTHS, 130.0], [*low, -OPEN], [*high, OPEN]).fit()
        assert longer == plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 30], [0, -1], [0, -1]), "at least 3 rows .* here are 2"),
        (([0, 30, 60], [0, -OPEN, 1], [0, OPEN, 1]), "here are 2"),
        (([7, 7, 7], [0, 1, 2], [0, 1, 2]), "same date"),
        (([0, 30, 60], [0, 1, 2], [0, 0, 2]), r"2\^1 to 2\^0 is invalid"),
        (([0, 30, 60], [0, math.nan, 2], [0, 0, 2]), "nan"),
        (([0, 30, 60], [0, OPEN, 2], [0, OPEN, 2]), "inf"),
    ],
)
def test_invalid_input_is_named(arguments, message):
    months, low, high = arguments
    with pytest.raises(UserError, match=message):
        CensoredRegression(months, np.array(low, dtype=float), np.array(high, dtype=float))


def test_recipes_determined_by_the_date_are_rejected():
    y = drawn(0)
    with pytest.raises(UserError, match="are collinear"):
        CensoredRegression(MONTHS, y, y, columns=MONTHS[:, None])


def test_indicators_omit_the_first_name():
    assert indicators(["b", "a", "c", "b"]).tolist() == [[1, 0], [0, 0], [0, 1], [1, 0]]
