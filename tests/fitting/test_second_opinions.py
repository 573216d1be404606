"""Other methods on the same rows: golden values, scipy, brute force, and coverage."""

import datetime
import itertools
import math
import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from efficiency_bench.fitting.bootstrap import (
    hierarchical_bootstrap,
    pairs_bootstrap,
    running_minimum,
    slopes,
)
from efficiency_bench.fitting.censored import censored_line, likelihood_drop, log_likelihood
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import frontier, halving_time
from efficiency_bench.fitting.power import further_rows, power
from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.second_opinions import months_of, second_opinions
from efficiency_bench.fitting.theil_sen import _falling_pairs, rows_beyond, theil_sen
from efficiency_bench.ledger.reference import published_entries
from tests.fitting.test_halving import SIX
from tests.ledger.factory import make_entry, make_evaluation

X6 = [0.0, 27.5, 58.5, 61.0, 73.0, 83.9]
"""Months of six rows, about those of the paper's frontier."""


def opinions(entries, variant="frontier", **selection):
    rows = fit_rows(entries, Selection(**selection))
    return second_opinions(rows, halving_time(rows, variant))


@pytest.fixture(scope="module")
def published():
    return opinions(published_entries())


def method(found, name):
    (one,) = [m for m in (*found.methods, *found.moved_dates) if m.method == name]
    return one


class TestGolden:
    """MEASUREMENT's values on OpenAI's six rows."""

    def test_least_squares(self, published):
        found = method(published, "least squares, t")
        values = (found.halving_months, found.low_months, found.high_months)
        assert values == pytest.approx((15.7, 13.2, 19.3), abs=0.05)
        assert found.n == 6

    def test_all_sixteen(self, published):
        assert method(published, "least squares, all rows").halving_months == pytest.approx(
            13.7, abs=0.05
        )

    def test_leave_one_out(self, published):
        assert published.leave_one_out_months == pytest.approx((15.3, 16.8), abs=0.05)

    def test_pairs_bootstrap(self, published):
        """All 46,656 draws: 13.66 to 18.47; the trial's 13.6-18.7 came from a few thousand."""
        found = method(published, "pairs bootstrap")
        assert (found.low_months, found.high_months) == pytest.approx((13.66, 18.47), abs=0.005)

    def test_moores_law_is_rejected_and_sixteen_months_are_not(self, published):
        paper, moore = published.tests
        assert paper.p_value > 0.5
        assert moore.p_value < 0.01

    def test_half_a_month_of_date_moves_it_by_a_seventh_of_a_month(self, published):
        found = method(published, "dates moved by up to 15 days")
        assert 15.5 < found.low_months < 15.7 < found.high_months < 15.9


def test_the_p_value_is_scipys():
    x, y = np.array(X6), np.array([0.1, -1.9, -3.4, -4.4, -4.6, -5.5])
    line = fit_line(list(x), list(y))
    # shifted by the rate that is tested, it is scipy's test of no slope
    for months in (16, 24):
        tested = scipy.stats.linregress(x, y + x / months)
        t = abs(line.slope + 1 / months) / line.slope_error
        assert 2 * scipy.stats.t.sf(t, 4) == pytest.approx(tested.pvalue)


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


def test_the_t_interval_on_given_rows_covers():
    generator = np.random.default_rng(7)
    inside = 0
    for _ in range(2000):
        y = [-x / 16 + e for x, e in zip(X6, generator.normal(0, 0.5, 6), strict=True)]
        line = fit_line(X6, y)
        inside += line.slope_low <= -1 / 16 <= line.slope_high
    assert 0.92 <= inside / 2000 <= 0.98


def test_few_rows_are_drawn_in_every_way_once():
    """Three rows: 27 draws, of which three take one row alone and have no slope."""
    every = pairs_bootstrap(np.array([0.0, 1, 3]), np.array([0.0, 1, 2]))
    assert len(every) == 24
    # 6 draws of two rows for each pair, 6 of all three
    drawn = dict(zip(*np.unique(every.round(9), return_counts=True), strict=True))
    assert drawn[1.0] == drawn[0.5] == 6


def test_slopes_of_many_lines_are_scipys():
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(5, 9)), generator.normal(size=(5, 9))
    taken = generator.random((5, 9)) < 0.7
    expected = [scipy.stats.linregress(x[i][taken[i]], y[i][taken[i]]).slope for i in range(len(x))]
    assert slopes(x, y, taken) == pytest.approx(expected)


def test_the_running_minimum_is_the_frontiers():
    y = np.array([[3.0, 4.0, 2.0, 2.0, 1.0], [3.0, 4.0, 5.0, 5.0, 1.0]])
    assert running_minimum(y).tolist() == [
        [True, False, True, False, True],
        [True] * 5,  # a frontier of two gives way to all rows
    ]


def test_a_row_drawn_twice_stands_on_the_frontier_twice():
    """Where every row is on the frontier, choosing it anew in each draw changes nothing."""
    rows = [row for row in fit_rows(published_entries(), Selection()).rows if row.model in SIX]
    x = months_of(rows)
    chosen, every = (hierarchical_bootstrap(rows, x, on_frontier) for on_frontier in (True, False))
    assert chosen == pytest.approx(every)


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


def test_a_run_that_never_arrived_is_in_tobit_and_in_the_count():
    entries = [
        make_entry("a", model="a", date="2012-06-01", crossing_images=4000.0),
        make_entry("b", model="b", date="2014-06-01", crossing_images=2000.0),
        make_entry("c", model="c", date="2016-06-01", crossing_images=900.0),
        make_entry("d", model="d", date="2018-06-01", crossing_images=400.0),
        make_entry("e", model="e", date="2019-06-01", crossing_images=None),
    ]
    found = opinions(entries)
    assert found.censored == 1
    assert method(found, "Tobit, all rows").n == 5
    assert method(found, "least squares, all rows").n == 4
    assert (
        method(found, "Tobit, all rows").halving_months
        > method(found, "least squares, all rows").halving_months
    )


def test_seeds_and_crossings_widen_the_hierarchical_interval():
    def ledger(crossings, val_images):
        return [
            make_entry(
                f"{model}-{seed}",
                model=model,
                seed=seed,
                date=date,
                crossing_images=images * factor,
                evaluations=curve(images * factor, val_images),
            )
            for model, date, images in (
                ("a", "2012-06-01", 4000.0),
                ("b", "2014-06-01", 2000.0),
                ("c", "2016-06-01", 1000.0),
                ("d", "2018-06-01", 500.0),
                ("e", "2019-06-01", 350.0),
            )
            for seed, factor in enumerate(crossings)
        ]

    def width(entries):
        found = method(opinions(entries), "hierarchical bootstrap, frontier")
        return found.high_months - found.low_months

    exact = width(ledger((1.0, 1.0, 1.0), 10**9))
    assert width(ledger((0.8, 1.0, 1.25), 10**9)) > exact + 0.5
    assert width(ledger((1.0, 1.0, 1.0), 300)) > exact + 0.5


def curve(crossing, val_images):
    """Evaluations of an accuracy that grows with log images and is 0.9 at ``crossing``."""
    shares = (0.25, 0.5, 0.75, 0.95, 1.05, 1.25, 1.5)
    return tuple(
        make_evaluation(
            round(crossing * share),
            round(val_images / (1 + math.exp(-(math.log(9) + 1.5 * math.log(share))))) / val_images,
            val_images=val_images,
        )
        for share in shares
    )


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


@settings(deadline=None, max_examples=20)
@given(st.floats(0.01, 100), st.integers(-900, 900), st.randoms(use_true_random=False))
def test_unit_calendar_and_order_change_nothing(scale, days, shuffle):
    def ledger(scale=1.0, days=0):
        return [
            make_entry(
                f"m{i}",
                model=f"m{i}",
                date=(datetime.date(2012, 6, 1) + datetime.timedelta(700 * i + days)).isoformat(),
                crossing_images=4000.0 / (i + 1) ** 2,
                paper3x_to_target_tfs_days=scale * 4000.0 / (i + 1) ** 2,
            )
            for i in range(5)
        ]

    plain = opinions(ledger())
    moved = ledger(scale, days)
    shuffle.shuffle(moved)
    found = opinions(moved)
    for one, other in zip(plain.methods, found.methods, strict=True):
        assert other.halving_months == pytest.approx(one.halving_months, rel=1e-6)
        assert other.low_months == pytest.approx(one.low_months, rel=1e-6)


def test_ten_thousand_entries_take_part_in_every_method():
    """The time itself is measured in the docs; here only that nothing grows with the square."""
    generator = np.random.default_rng(1)
    entries = [
        make_entry(
            f"m{i}-{seed}",
            model=f"m{i}",
            seed=seed,
            date=(datetime.date(2012, 6, 1) + datetime.timedelta(int(3 * i % 3000))).isoformat(),
            crossing_images=float(generator.uniform(100, 5000)),
        )
        for i in range(2500)
        for seed in range(4)
    ]
    began = time.process_time()
    found = opinions(entries, "all")
    assert {m.n for m in found.methods} >= {2500}
    assert time.process_time() - began < 60, "something grew with the square of the rows"
    assert len(frontier(fit_rows(entries, Selection()).rows)) < 50
