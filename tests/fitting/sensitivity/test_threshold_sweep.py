"""The halving time at any threshold, on curves whose crossings are known in closed form."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored import censored_halving_time
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.curves import compute_at, runs_with_curves, target_at
from efficiency_bench.fitting.sensitivity.threshold_sweep import parse_sweep, sweep, thresholds
from efficiency_bench.ledger.reference import published_entries
from tests.fitting.curve_factory import (
    DAYS,
    SCALE_IMAGES,
    START_LOGIT,
    compute_tfs_days,
    iso,
    logit,
    planted,
    run_with_curve,
    sigmoid,
    straight,
)
from tests.ledger.factory import make_target

ANY = Selection()


@settings(max_examples=25, deadline=None)
@given(halving_months=st.floats(10, 60), low=st.floats(0.2, 0.6), high=st.floats(0.7, 0.97))
def test_the_planted_halving_time_comes_back_at_every_threshold(halving_months, low, high):
    result = sweep(planted(halving_months), ANY, low, high)
    assert len(result.rows) > 5
    for row in result.rows:
        assert row.halving_months == pytest.approx(halving_months, rel=1e-5)
        assert (row.n, row.censored, row.left_censored) == (5, 0, 0)
        span = (DAYS[-1] - DAYS[0]) / DAYS_PER_MONTH
        assert row.reduction_factor == pytest.approx(2 ** (span / halving_months), rel=1e-5)


def test_two_thresholds_have_their_own_halving_times():
    """A line through (x1, 60 %) and (x2, 90 %), x1 halving every 40 months and x2 every 20."""
    runs = []
    for i, days in enumerate(DAYS):
        months = days / DAYS_PER_MONTH
        x1, x2 = 1e8 * 2 ** (-months / 40), 1e10 * 2 ** (-months / 20)
        points = [(0, 0.01), (round(x1), 0.6), (round(x2), 0.9), (round(2 * x2), 0.95)]
        runs.append(run_with_curve(f"m{i}", points, date=iso(days)))
    at = {row.threshold: row for row in sweep(runs, ANY, 0.6, 0.9, 0.3).rows}
    assert at[0.6].halving_months == pytest.approx(40, rel=1e-5)
    assert at[0.9].halving_months == pytest.approx(20, rel=1e-5)


def test_at_the_runs_own_target_it_is_the_fit():
    runs = planted(20)
    (row,) = sweep(runs, ANY, 0.9, 0.9).rows
    fit = censored_halving_time(fit_rows(runs, ANY))
    fields = ("halving_months", "low_months", "high_months", "reduction_factor", "n", "verdict")
    for name in fields:
        assert getattr(row, name) == getattr(fit, name), name
    (row,) = sweep(runs, ANY, 0.9, 0.9, method="frontier").rows
    fit = halving_time(fit_rows(runs, ANY))
    for name in fields:
        assert getattr(row, name) == getattr(fit, name), name


def test_the_own_target_joins_the_thresholds_once():
    target = make_target(value=0.85)
    runs = planted(20, target=target)
    assert [row.threshold for row in sweep(runs, ANY, 0.8, 0.9, 0.1).rows] == [0.8, 0.85, 0.9]
    assert [row.threshold for row in sweep(runs, ANY, 0.8, 0.85 + 1e-12, 0.05).rows] == [0.8, 0.85]


def test_a_run_that_stops_below_is_censored_and_kept_in_the_count():
    short = run_with_curve("short", [(0, 0.1), (10**8, 0.5), (2 * 10**8, 0.7)], date=iso(3000))
    rows = {row.threshold: row for row in sweep([*planted(20), short], ANY, 0.6, 0.8, 0.2).rows}
    assert (rows[0.6].censored, rows[0.6].runs, rows[0.6].n) == (0, 6, 6)
    assert (rows[0.8].censored, rows[0.8].runs, rows[0.8].n) == (1, 6, 6)
    (at,) = sweep([*planted(20), short], ANY, 0.8, 0.8, method="frontier").rows
    assert at.n == 5


def test_too_few_rows_leave_the_threshold_with_its_reason():
    runs = planted(20)[:2]
    low = straight("low", SCALE_IMAGES, date=iso(3000), points=10)
    low = low.model_copy(update={"evaluations": low.evaluations[:4]})  # up to 50 %
    (ok, few) = (row for row in sweep([*runs, low], ANY, 0.4, 0.8, 0.4, method="frontier").rows)
    assert (ok.n, ok.reason) == (3, None)
    assert (few.halving_months, few.n, few.censored) == (None, 2, 1)
    assert "3 needed" in few.reason


def test_over_the_threshold_at_the_first_evaluation_is_a_bound():
    runs = planted(20)
    early = run_with_curve("early", [(10**6, 0.5), (2 * 10**9, 0.95)], date=iso(3000))
    rows = {row.threshold: row for row in sweep([*runs, early], ANY, 0.4, 0.6, 0.2).rows}
    assert (rows[0.4].left_censored, rows[0.6].left_censored) == (1, 0)
    run = runs_with_curves([early])["early"]
    compute, bound = compute_at(run, target_at(run.entry.target, 0.4), "sustained", "paper3x")
    assert (compute, bound) == (pytest.approx(compute_tfs_days(10**6)), True)


def test_bounds_alone_are_no_fit():
    runs = [
        run_with_curve(f"m{i}", [(10**6 * (9 - i), 0.5), (10**9, 0.95)], date=iso(400 * i))
        for i in range(4)
    ]
    (row,) = sweep(runs, ANY, 0.4, 0.4).rows
    assert (row.halving_months, row.left_censored) == (None, 4)
    assert "first evaluation" in row.reason


def test_the_baseline_is_charged_its_own_crossing():
    scale = SCALE_IMAGES
    names = ("alexnet",)
    baseline = straight("alexnet", scale, target=make_target(source="own_schedule"), date=iso(-90))
    target = make_target(source="baseline", baseline_run_ids=names)
    result = sweep([baseline, *planted(20, target=target)], ANY, 0.8, 0.8, method="frontier")
    crossing = scale * (logit(0.8) - START_LOGIT)
    last = scale * 2 ** (-DAYS[-1] / DAYS_PER_MONTH / 20) * (logit(0.8) - START_LOGIT)
    assert result.rows[0].reduction_factor == pytest.approx(crossing / last, rel=1e-6)
    assert any("baseline is charged its own crossing" in note for note in result.notes)


def test_a_dip_moves_the_sustained_crossing_and_not_the_first():
    points = [(0, 0.1), (10, 0.7), (20, 0.5), (30, 0.8), (40, 0.85), (50, 0.9)]
    run = runs_with_curves([run_with_curve("dip", [(x * 10**8, y) for x, y in points])])["dip"]
    target = target_at(run.entry.target, 0.6)
    first, _ = compute_at(run, target, "first", "paper3x")
    sustained, _ = compute_at(run, target, "sustained", "paper3x")
    step = (logit(0.6) - logit(0.1)) / (logit(0.7) - logit(0.1))
    assert first == pytest.approx(compute_tfs_days(1e9 * step), rel=1e-6)
    step = (logit(0.6) - logit(0.5)) / (logit(0.8) - logit(0.5))
    assert sustained == pytest.approx(compute_tfs_days(2e9 + 1e9 * step), rel=1e-6)


@pytest.mark.parametrize(
    ("end_reason", "reached"), [("schedule", True), ("target", False), ("failed", False)]
)
def test_an_unconfirmed_last_evaluation_counts_at_the_end_of_a_schedule_only(end_reason, reached):
    points = [(10**8 * i, y) for i, y in enumerate((0.1, 0.6, 0.7, 0.72, 0.74, 0.9))]
    target = make_target(value=0.6)
    run = runs_with_curves([run_with_curve("r", points, end_reason, target=target)])["r"]
    compute, _ = compute_at(run, target_at(target, 0.8), "sustained", "paper3x")
    assert (compute is not None) is reached


def test_a_target_held_by_the_schedules_end_alone_shows_that_it_was_the_end():
    points = [(0, 0.1), (10**8, 0.5), (2 * 10**8, 0.95)]
    assert runs_with_curves([run_with_curve("r", points, "target")])["r"].schedule_over


def test_published_rows_stand_at_their_own_level_with_a_note():
    result = sweep(published_entries(), ANY, 0.5, 0.93)
    (row,) = result.rows
    assert (row.threshold, round(row.halving_months, 1), row.runs) == (0.791, 15.7, 16)
    assert "no learning curves" in result.notes[0]
    outside = sweep(published_entries(), ANY, 0.8, 0.93)
    assert (outside.rows, outside.notes) == ((), result.notes)


def test_runs_without_a_count_are_left_out_and_said():
    bare = planted(20)[0].model_copy(update={"run_id": "bare", "model": "bare", "segments": ()})
    result = sweep([*planted(20), bare], ANY, 0.5, 0.5)
    assert (result.rows[0].runs, result.rows[0].n) == (5, 5)
    assert "1 runs without a curve or MAC counts are left out" in result.notes


@settings(deadline=None)
@given(low=st.floats(0.01, 0.98), width=st.floats(0, 0.9))
def test_thresholds_rise_from_low_to_high_in_at_most_21(low, width):
    high = min(low + width, 0.99)
    found = thresholds(low, high)
    assert found[0] == pytest.approx(low, abs=1e-9)
    assert found[-1] == high
    assert all(a < b for a, b in itertools.pairwise(found))
    assert len(found) <= 21
    assert len(found) >= 9 or high - low < 1e-5


def test_the_issues_example_reads():
    assert parse_sweep("0.5:0.93") == (0.5, 0.93, None)
    assert parse_sweep("0.5:0.9:0.1") == (0.5, 0.9, 0.1)
    assert thresholds(0.5, 0.9, 0.1) == (0.5, 0.6, 0.7, 0.8, 0.9)
    assert thresholds(0.5, 0.75, 0.1) == (0.5, 0.6, 0.7, 0.75)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the sweep '' is invalid"),
        ("0.5", "is invalid"),
        ("a:b", "is invalid"),
        ("0.5:0.9:0.1:2", "is invalid"),
        ("0.9:0.5", "LOW <= HIGH"),
        ("0:0.5", "0 < LOW"),
        ("0.5:1", "HIGH < 1"),
        ("50:93", r"percent\? 0\.5:0\.93"),
        ("nan:0.9", "0 < LOW"),
        ("0.5:0.9:0", "from 1e-06 to 1"),
        ("0.5:0.9:-0.1", "from 1e-06 to 1"),
        ("0.5:0.9:nan", "from 1e-06 to 1"),
        ("0.5:0.9:1e-5", "more than 500"),
        ("0.5:0.9:1e-9", "from 1e-06 to 1"),
    ],
)
def test_nonsense_is_refused_with_what_to_type(text, says):
    with pytest.raises(UserError, match=says) as error:
        parse_sweep(text)
    assert "--sweep 0.5:0.93" in str(error.value)


def test_the_curve_factory_is_what_it_says():
    run = straight("r", 1e9)
    assert run.evaluations[0].top1 == pytest.approx(sigmoid(START_LOGIT))
    assert run.sustained_crossing_images == pytest.approx(1e9 * (math.log(9) + 3), rel=1e-6)
