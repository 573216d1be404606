"""The bare fit of many tables is the fit of ``efficiency-bench fit``."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.headline import fit_or_reason
from efficiency_bench.fitting.rows import fit_rows
from tests.ledger.factory import make_entry

SHARED = (
    "halving_months",
    "low_months",
    "high_months",
    "doubling_months",
    "reduction_factor",
    "n",
    "variant",
    "verdict",
)
points = st.lists(st.tuples(st.integers(0, 4), st.floats(1e-6, 1e3)), min_size=1, max_size=7)


def rows_of(found):
    entries = [
        make_entry(
            f"m{i}",
            model=f"m{i}",
            date=(date(2012, 1, 1) + timedelta(days=400 * step)).isoformat(),
            paper3x_to_target_tfs_days=compute,
        )
        for i, (step, compute) in enumerate(found)
    ]
    return fit_rows(entries, Selection())


@settings(deadline=None)
@given(found=points, variant=st.sampled_from(["frontier", "all"]))
def test_it_matches_the_fit_command(found, variant):
    row_set = rows_of(found)
    bare = fit_or_reason(row_set, variant)
    try:
        whole = halving_time(row_set, variant)
    except UserError:
        assert bare.reason is not None
        assert bare.halving_months is None
        return
    assert {name: getattr(bare, name) for name in SHARED} == {
        name: getattr(whole, name) for name in SHARED
    }
    through = fit_or_reason(row_set, variant, "end points")
    assert through.halving_months == pytest.approx(whole.end_points_months)
    assert through.reduction_factor == whole.reduction_factor


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([(0, 1.0), (1, 0.5)], "2 dated rows, 3 needed"),
        ([(1, 1.0)] * 3, "all rows have the same date"),
    ],
)
def test_without_a_fit_it_gives_the_reason(found, reason):
    assert fit_or_reason(rows_of(found), "all").reason.startswith(reason)


def test_no_change_is_neither_halving_nor_doubling():
    flat = fit_or_reason(rows_of([(i, 1.0) for i in range(4)]), "all")
    assert (flat.halving_months, flat.doubling_months) == (None, None)
    assert flat.reduction_factor == 1


def test_the_censored_line_without_its_interval_is_the_same_line():
    """Points alone: least squares over all rows, here a halving every 10 months to the digit."""
    row_set = rows_of([(i, 2.0 ** (-i * 400 / DAYS_PER_MONTH / 10)) for i in range(4)])
    with_interval = fit_or_reason(row_set, "all", "censored")
    bare = fit_or_reason(row_set, "all", "censored", interval=False)
    assert bare.halving_months == with_interval.halving_months == pytest.approx(10, rel=1e-6)
    assert bare.reduction_factor == pytest.approx(2 ** (1200 / DAYS_PER_MONTH / 10))
