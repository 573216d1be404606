"""The halving time: published golden values, exact recovery, and every edge of the verdict."""

import math
import subprocess
import sys
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from efficiency_bench.bounds import LARGEST_FLOAT, SMALLEST_FLOAT
from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.regression import fit_line, t_quantile
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.reference import published_entries
from tests.fitting.given_rows import SIX
from tests.ledger.factory import make_entry


def published(**changed_computes):
    """The six leaderboard rows, some at another compute."""
    chosen = {entry.model: entry for entry in published_entries() if entry.model in SIX}
    for model, compute in changed_computes.items():
        update = {"paper3x_to_target_tfs_days": compute}
        chosen[model] = chosen[model].model_copy(update=update)
    return list(chosen.values())


def fit(entries, variant="frontier", **settings):
    return halving_time(fit_rows(entries, Selection(), **settings), variant)


def made(*points, **overrides):
    """Entries of (days after 2012-01-01, compute in tfs-days), a model each."""
    return [
        make_entry(
            f"m{i}",
            model=f"m{i}",
            date=(date(2012, 1, 1) + timedelta(days=days)).isoformat(),
            paper3x_to_target_tfs_days=compute,
            **overrides,
        )
        for i, (days, compute) in enumerate(points)
    ]


class TestGoldenValues:
    """Known in advance for the paper's rows, to the digits given there."""

    def test_least_squares_on_the_leaderboard(self):
        result = fit(published())
        assert round(result.halving_months, 1) == 15.7
        assert (round(result.low_months, 1), round(result.high_months, 1)) == (13.2, 19.3)
        assert round(result.r_squared, 3) == 0.982
        assert (result.n, result.variant, result.verdict) == (6, "frontier", "halving")
        assert round(result.reduction_factor, 1) == 44.9
        assert round(result.end_points_months, 1) == 15.3

    def test_the_leaderboard_is_the_frontier_of_all_sixteen(self):
        result = fit(published_entries())
        frontier = {row["model"] for row in result.rows if row["on_frontier"]}
        assert frontier == set(SIX)
        assert len(result.rows) == 16
        assert result.halving_months == fit(published()).halving_months

    def test_all_sixteen(self):
        result = fit(published_entries(), "all")
        assert (round(result.halving_months, 1), result.n) == (13.7, 16)
        assert result.variant == "all"

    def test_exact_forward_macs_same_epochs(self):
        computes = {
            entry.model: entry.segments[0].images * 3 * entry.segments[0].forward_macs / 8.64e16
            for entry in published()
        }
        assert round(fit(published(**computes)).halving_months, 1) == 16.6

    def test_alexnet_charged_62_epochs(self):
        # 3.1 * 62 / 90 = 2.136, to the two digits that the leaderboard prints: 2.1
        assert round(fit(published(alexnet=2.1)).halving_months, 1) == 17.3

    def test_leave_one_out(self):
        results = [
            fit([entry for entry in published() if entry.model != left_out]).halving_months
            for left_out in SIX
        ]
        assert (round(min(results), 1), round(max(results), 1)) == (15.3, 16.8)


@given(
    halving_months=st.floats(3, 60),
    days=st.lists(st.integers(0, 4000), min_size=3, max_size=8, unique=True),
)
def test_noiseless_points_give_their_halving_time_back(halving_months, days):
    points = [(d, 2 ** (-d / DAYS_PER_MONTH / halving_months)) for d in days]
    result = fit(made(*points), "all")
    assert result.halving_months == pytest.approx(halving_months, rel=1e-6)
    assert result.end_points_months == pytest.approx(halving_months, rel=1e-6)
    assert result.r_squared == pytest.approx(1)
    assert result.low_months == pytest.approx(halving_months, rel=1e-3)


noisy = st.lists(
    st.tuples(st.integers(0, 3000), st.floats(1e-6, 1e3)),
    min_size=3,
    max_size=7,
    unique_by=lambda p: p[0],
)


@given(points=noisy, scale=st.floats(1e-4, 1e4), shift=st.integers(-2000, 2000), order=st.randoms())
def test_scale_of_compute_shift_of_dates_and_order_do_not_matter(points, scale, shift, order):
    changed = [(days + shift, compute * scale) for days, compute in points]
    order.shuffle(changed)
    one, two = fit(made(*points), "all"), fit(made(*changed), "all")
    assert two.slope_per_month == pytest.approx(one.slope_per_month, rel=1e-6, abs=1e-9)
    assert two.slope_low_per_month == pytest.approx(one.slope_low_per_month, rel=1e-6, abs=1e-9)
    assert two.reduction_factor == pytest.approx(one.reduction_factor, rel=1e-9)


@given(points=noisy)
def test_the_line_is_scipys(points):
    x, y = [days for days, _ in points], [math.log2(compute) for _, compute in points]
    line, theirs = fit_line(x, y), stats.linregress(x, y)
    assert line.slope == pytest.approx(theirs.slope, rel=1e-9, abs=1e-12)
    assert line.intercept == pytest.approx(theirs.intercept, rel=1e-9, abs=1e-9)
    margin = stats.t.ppf(0.975, len(x) - 2) * theirs.stderr
    assert line.slope_high - line.slope == pytest.approx(margin, rel=1e-6, abs=1e-9)


def test_the_interval_is_students_t():
    """Quantiles as printed in tables of the t distribution."""
    table = {1: 12.706, 2: 4.303, 4: 2.776, 14: 2.145}
    assert {df: round(t_quantile(df), 3) for df in table} == table


def test_the_band_of_the_line_is_narrowest_at_the_mean_date():
    line = fit_line([0, 1, 2, 3], [0.0, 1.0, 1.0, 3.0])
    # residuals 0.1, 0.2, -0.7, 0.4: variance 0.7 / 2; at the mean half-width t * sqrt(0.35 / 4)
    assert line.half_width(1.5) == pytest.approx(4.302653 * math.sqrt(0.35 / 4), rel=1e-6)
    assert line.half_width(0) == pytest.approx(line.half_width(3))
    assert line.half_width(0) > line.half_width(1.5)


class TestFrontier:
    def test_only_rows_cheaper_than_all_earlier_ones_are_on_it(self):
        result = fit(made((0, 8.0), (100, 9.0), (200, 4.0), (300, 4.0), (400, 1.0)))
        on_it = [row["model"] for row in result.rows if row["on_frontier"]]
        assert on_it == ["m0", "m2", "m4"]
        assert [row["model"] for row in result.rows if row["fitted"]] == on_it
        assert result.n == 3

    def test_of_one_date_the_cheapest_counts(self):
        result = fit(made((0, 8.0), (0, 6.0), (200, 3.0), (200, 4.0), (400, 1.0)))
        assert [row["model"] for row in result.rows if row["on_frontier"]] == ["m1", "m2", "m4"]

    def test_a_frontier_of_two_rows_falls_back_to_all_rows_and_says_so(self):
        result = fit(made((0, 8.0), (100, 9.0), (200, 4.0), (300, 7.0)))
        assert (result.variant, result.n) == ("all", 4)
        assert "the frontier has only 2 rows: fitted over all 4 models" in result.notes
        assert sum(row["on_frontier"] for row in result.rows) == 2

    def test_a_frontier_of_three_stands(self):
        result = fit(made((0, 8.0), (100, 9.0), (200, 4.0), (300, 2.0)))
        assert (result.variant, result.n, result.notes) == ("frontier", 3, ())


class TestVerdict:
    def test_an_interval_with_zero_has_no_upper_end(self):
        result = fit(made((0, 8.0), (300, 1.0), (600, 7.0), (900, 2.0)), "all")
        assert result.slope_low_per_month < 0 < result.slope_high_per_month
        assert result.verdict == "not shown to halve"
        assert result.halving_months > 0
        assert result.high_months is None
        assert 0 < result.low_months < result.halving_months

    def test_three_points_need_an_almost_perfect_line(self):
        assert fit(made((0, 8.0), (300, 4.2), (600, 1.9))).verdict == "halving"
        assert fit(made((0, 8.0), (300, 6.0), (600, 2.0))).verdict == "not shown to halve"

    def test_a_rising_slope_is_a_doubling(self):
        result = fit(made((0, 1.0), (365, 2.0), (730, 4.1), (1095, 8.0)), "all")
        assert result.verdict == "doubling"
        assert result.doubling_months == pytest.approx(12, rel=0.02)
        assert (result.halving_months, result.low_months, result.high_months) == (None,) * 3
        assert result.end_points_months is None
        assert result.reduction_factor == pytest.approx(1 / 8)

    def test_an_insignificant_rise_gives_both_bounds(self):
        result = fit(made((0, 2.0), (300, 7.0), (600, 1.0), (900, 8.0)), "all")
        assert result.verdict == "not shown to halve, doubling"
        assert result.high_months is None
        assert result.doubling_months > 0

    def test_no_change_at_all(self):
        result = fit(made((0, 0.3), (300, 0.3), (600, 0.3)))
        assert (result.slope_per_month, result.verdict) == (0, "not shown to halve")
        assert (result.halving_months, result.doubling_months, result.r_squared) == (None,) * 3
        assert result.reduction_factor == 1


class TestTooLittle:
    def test_fewer_than_three_rows(self):
        with pytest.raises(UserError, match=r"at least 3 rows.*here 2 of 2 do"):
            fit(made((0, 2.0), (300, 1.0)))

    def test_censored_and_undated_rows_do_not_count_but_are_named(self):
        entries = [
            *made((0, 2.0), (300, 1.0)),
            make_entry("c", model="c", crossing_images=None),
            make_entry("d", model="d", date=None),
        ]
        with pytest.raises(UserError, match="here 2 of 4 do") as error:
            fit(entries)
        assert "never reached the target: c small_plain" in str(error.value)
        assert "d small_plain has no date" in str(error.value)

    def test_one_date(self):
        with pytest.raises(UserError, match="all 3 rows have the date 2012-01-01"):
            fit(made((0, 2.0), (0, 1.0), (0, 3.0)))


def test_seeds_are_not_rows():
    entries = [
        entry.model_copy(update={"run_id": f"{entry.run_id}-{seed}", "seed": seed})
        for entry in made((0, 8.0), (300, 4.2), (600, 1.9))
        for seed in range(3)
    ]
    result = fit(entries)
    assert result.n == 3
    assert [row["seeds"] for row in result.rows] == [3, 3, 3]


def test_censored_rows_are_shown_and_not_fitted():
    entries = [*published(), make_entry("c", crossing_images=None)]
    entries[-1] = entries[-1].model_copy(
        update={
            "data": "imagenet",
            "data_digest": None,
            "tier": "published",
            "target": entries[0].target,
        }
    )
    result = fit(entries)
    assert result.halving_months == fit(published()).halving_months
    (censored,) = [row for row in result.rows if not row["reached"]]
    assert (censored["fitted"], censored["compute"], censored["reduction_factor"]) == (
        False,
        None,
        None,
    )


def test_the_drawn_line_is_the_fit():
    result = fit(published())
    first, last = result.line[0], result.line[-1]
    assert (first["date"], last["date"]) == ("2012-06-01", "2019-05-28")
    months = (date(2019, 5, 28) - date(2012, 6, 1)).days / DAYS_PER_MONTH
    assert months / math.log2(first["compute"] / last["compute"]) == (
        pytest.approx(result.halving_months)
    )
    assert all(point["low"] < point["compute"] < point["high"] for point in result.line)


def test_the_result_is_json_with_the_fixed_keys():
    dumped = fit(published()).model_dump(mode="json")
    assert {
        "halving_months", "low_months", "high_months", "reduction_factor", "r_squared", "n",
        "method", "variant", "rows",
    } <= dumped.keys()  # fmt: skip
    assert dumped["currency"] == "paper3x_tfs_days"
    assert dumped["target"]["value"] == 0.791


def test_a_wildly_scattered_fit_stays_finite():
    # no record holds anything beyond
    result = fit(made((0, LARGEST_FLOAT), (1, SMALLEST_FLOAT), (4000, LARGEST_FLOAT)), "all")
    assert all(math.isfinite(point["high"]) for point in result.line)


def test_fitting_the_published_rows_imports_neither_torch_nor_scipy_stats():
    code = (
        "import sys\n"
        "from efficiency_bench.ledger.reference import published_entries\n"
        "from efficiency_bench.fitting.groups import Selection\n"
        "from efficiency_bench.fitting.rows import fit_rows\n"
        "from efficiency_bench.fitting.halving import halving_time\n"
        "halving_time(fit_rows(published_entries(), Selection()))\n"
        "print([m for m in ('torch', 'scipy.stats', 'altair', 'hydra') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
