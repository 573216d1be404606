"""Robustness checks of a fit: other methods, rows left out, dates moved, tests and power."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtr

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored import CensoredRows
from efficiency_bench.fitting.censored_regression import CensoredFit
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH, FitRow, RowSet
from efficiency_bench.fitting.halving import (
    LEAST_ROWS,
    MOORE_MONTHS,
    PAPER_2020_MONTHS,
    HalvingTime,
    Variant,
    frontier,
)
from efficiency_bench.fitting.regression import Array, Line, fit_line
from efficiency_bench.fitting.robustness.bootstrap import (
    SEED,
    draws_for,
    hierarchical_bootstrap,
    pairs_bootstrap,
    running_minimum,
    slopes,
)
from efficiency_bench.fitting.robustness.crossing_errors import SeedErrors
from efficiency_bench.fitting.robustness.power import RatePower, ladder_power, rate_powers
from efficiency_bench.fitting.robustness.theil_sen import MOST_ROWS, theil_sen
from efficiency_bench.records import Record

ROWS_NAMED: Mapping[Variant, str] = {"frontier": "frontier", "all": "all that arrived"}

DATE_ERRORS_DAYS = (15, 90)
"""Half a month, the largest error of a date known only by its month; and a quarter of a year, the
usual time from a preprint to its conference."""

LEAST_DRAWN = 5
"""Fewest rows for a bootstrap interval; with four rows it would be a third as long as Student's."""

MOST_LEFT_OUT = 200
"""Most rows for leave-one-out; with more, a single row cannot change the result."""


RATES = (("the 2020 paper", PAPER_2020_MONTHS), ("Moore's law", MOORE_MONTHS))
"""Halving times against which the slope is tested, months."""


class MethodResult(Record):
    """The halving time by one method with its 95 % interval, months."""

    method: str
    halving_months: float | None
    """None: compute does not fall."""
    low_months: float | None
    high_months: float | None
    """None: the interval includes no change."""
    n: int
    """Rows used, including censored ones."""
    assumes: str


class RateTest(Record):
    """A test of the slope against a stated rate."""

    name: str
    months: float
    p_value: float
    """Two-sided: probability of a deviation at least as large if this rate is true."""
    method: str
    """The censored regression over all rows; or Student's t on the fitted rows, for least squares
    without censored rows."""


class RobustnessChecks(Record):
    """The same rows by other methods, with rows left out, dates moved, tests and power."""

    methods: tuple[MethodResult, ...]
    """The headline first."""
    leave_one_out_months: tuple[float | None, float | None]
    """Shortest and longest halving time with one fitted row left out, by the headline's method (the
    frontier is selected again without it); None: compute does not fall, or too few rows."""
    moved_dates: tuple[MethodResult, ...]
    """Least squares with every date moved at random by up to ``DATE_ERRORS_DAYS``."""
    tests: tuple[RateTest, ...]
    power: tuple[RatePower, ...]
    censored: int
    """Rows that never reached the target."""
    censored_in_part: int
    """Rows of which some seeds reached the target and others did not."""
    robustness_notes: tuple[str, ...]


def robustness_checks(
    row_set: RowSet, halving: HalvingTime, errors: SeedErrors | None = None
) -> RobustnessChecks:
    """Check the robustness of ``halving``, which was fitted to ``row_set``.

    ``errors``: standard errors of the crossings (``crossing_errors``); None: all are 0.
    """
    dated = [row for row in row_set.rows if row.date is not None and row.compute_spent > 0]
    usable = [row for row in dated if row.reached]
    censored = _censored(row_set)
    by_censored = [] if censored is None else [_censored_result(censored.fit)]
    asked: Variant = halving.variant if halving.method == "frontier" else "frontier"
    variant, line, fitted = _line(usable, asked)
    by_line: list[MethodResult] = []
    moved: tuple[MethodResult, ...] = ()
    notes = []
    if line is not None:
        by_line = _line_results(usable, fitted, line, variant, errors or {})
        moved = tuple(_moved_dates(usable, variant, days) for days in DATE_ERRORS_DAYS)
    else:
        notes.append(
            "no least squares: it needs three rows of different dates that reached the target"
        )
    if len(usable) > MOST_ROWS:
        notes.append(f"Theil-Sen uses {MOST_ROWS} rows at most, evenly spaced by date")
    first = halving.method == "censored"
    return RobustnessChecks(
        methods=(*by_censored, *by_line) if first else (*by_line, *by_censored),
        leave_one_out_months=_censored_without_one(row_set, censored)
        if first
        else _leave_one_out(usable, fitted, halving.variant),
        moved_dates=moved,
        tests=_tests(line, censored, first or any(not row.reached for row in dated)),
        power=_power(halving, line, fitted, censored),
        censored=sum(not row.reached for row in dated),
        censored_in_part=sum(row.arrived_in_part for row in dated),
        robustness_notes=tuple(notes),
    )


def _censored(row_set: RowSet) -> CensoredRows | None:
    """Return the censored regression; None for too few rows, or a single date."""
    try:
        taken = CensoredRows.from_row_set(row_set)
        return taken if taken.fit else None
    except UserError:
        return None


def _line(
    usable: Sequence[FitRow], variant: Variant
) -> tuple[Variant, Line | None, Sequence[FitRow]]:
    """Fit least squares over the rows of ``variant``, or all if the frontier has fewer than three.

    The line is None for fewer than three rows, or a single date.
    """
    fitted = frontier(usable) if variant == "frontier" else usable
    if len(fitted) < LEAST_ROWS:
        variant, fitted = "all", usable
    if len(fitted) < LEAST_ROWS or len({row.day for row in fitted}) < 2:
        return variant, None, fitted
    return variant, fit_line(months_of(fitted).tolist(), logs_of(fitted).tolist()), fitted


def _censored_result(fit: CensoredFit) -> MethodResult:
    assumes = f"normal scatter; {fit.n - fit.n_arrived} rows known to lie above what they spent"
    return MethodResult(
        method="censored regression, all rows",
        halving_months=fit.halving_months,
        low_months=fit.low_months,
        high_months=fit.high_months,
        n=fit.n,
        assumes=assumes,
    )


def _line_results(
    usable: Sequence[FitRow],
    fitted: Sequence[FitRow],
    line: Line,
    variant: Variant,
    errors: SeedErrors,
) -> list[MethodResult]:
    x, y, n = months_of(fitted), logs_of(fitted), len(fitted)
    median = theil_sen(x, y)
    normal = "normal scatter, rows given"
    name = f"least squares, {ROWS_NAMED[variant]}"
    found = [
        _method_result(name, line.slope, line.slope_low, line.slope_high, n, normal),
        _method_result(
            "Theil-Sen", median.slope, median.low, median.high, median.n, "like scatter"
        ),
        _resampled_result(
            "pairs bootstrap", line.slope, pairs_bootstrap(x, y), n, "rows drawn at random"
        ),
    ]
    if all(row.seed_computes for row in usable):
        draws = hierarchical_bootstrap(usable, months_of(usable), variant == "frontier", errors)
        assumes = "rows, seeds and crossings drawn (one seed: no scatter of seeds)"
        named = f"hierarchical bootstrap, {variant}"
        found.append(_resampled_result(named, line.slope, draws, len(usable), assumes))
    if variant == "frontier":
        every = fit_line(months_of(usable).tolist(), logs_of(usable).tolist())
        bounds = (every.slope, every.slope_low, every.slope_high)
        named = f"least squares, {ROWS_NAMED['all']}"
        found.append(_method_result(named, *bounds, len(usable), "no selection"))
    return found


def _censored_without_one(
    row_set: RowSet, taken: CensoredRows | None
) -> tuple[float | None, float | None]:
    if taken is None or not LEAST_ROWS < len(taken.rows) <= MOST_LEFT_OUT:
        return None, None
    slopes = []
    for row in taken.rows:
        try:
            found = CensoredRows.from_row_set(row_set, without=row).regression.slope_per_month
        except UserError:
            continue
        slopes.append(0.0 if found is None else found)
    return (_halving(min(slopes)), _halving(max(slopes))) if slopes else (None, None)


def _tests(
    line: Line | None, censored: CensoredRows | None, all_rows: bool
) -> tuple[RateTest, ...]:
    if line is not None and not (all_rows and censored):
        return tuple(_t_test(line, name, months) for name, months in RATES)
    if censored is None:
        return ()
    p_values = {test.months: test.p_value for test in censored.fit.tests}
    return tuple(
        RateTest(
            name=name,
            months=months,
            p_value=p_values[months],
            method="censored regression, all rows",
        )
        for name, months in RATES
    )


def _power(
    halving: HalvingTime,
    line: Line | None,
    fitted: Sequence[FitRow],
    censored: CensoredRows | None,
) -> tuple[RatePower, ...]:
    slope = halving.slope_per_month
    if halving.method == "frontier" and line is not None and slope is not None:
        return rate_powers(slope, line.residual_variance, months_of(fitted).tolist())
    if censored is None or slope is None or halving.scatter is None:
        return ()
    closed = [row for row in censored.rows if row.compute_at_most is not None]
    if len(closed) < LEAST_ROWS or len({row.day for row in closed}) < 2:
        return ()
    # the maximum-likelihood scatter is not corrected for degrees of freedom
    variance = halving.scatter**2 * len(closed) / (len(closed) - 2)
    simulated = ladder_power(censored.rows, slope, halving.scatter)
    return rate_powers(slope, variance, months_of(closed).tolist(), simulated)


def _leave_one_out(
    usable: Sequence[FitRow], fitted: Sequence[FitRow], variant: Variant
) -> tuple[float | None, float | None]:
    if len(usable) <= LEAST_ROWS or len(fitted) > MOST_LEFT_OUT:
        return None, None
    found = []
    for left_out in fitted:
        others = [row for row in usable if row is not left_out]
        kept = frontier(others) if variant == "frontier" else others
        if len(kept) < LEAST_ROWS:  # as in the headline's fit
            kept = others
        x = months_of(kept).tolist()
        if min(x) < max(x):
            found.append(fit_line(x, logs_of(kept).tolist()).slope)
    return (_halving(min(found)), _halving(max(found))) if found else (None, None)


def _moved_dates(usable: Sequence[FitRow], variant: Variant, days: int) -> MethodResult:
    """Fit over draws in which every date moves uniformly within ``days`` either way."""
    generator = np.random.default_rng(SEED)
    x, y = months_of(usable), logs_of(usable)
    moves = generator.uniform(-days, days, size=(draws_for(len(x)), len(x))) / DAYS_PER_MONTH
    drawn_x = x + moves
    order = np.argsort(drawn_x, axis=1)
    drawn_x = np.take_along_axis(drawn_x, order, axis=1)
    drawn_y = y[order]
    taken = np.ones(drawn_x.shape, dtype=bool)
    if variant == "frontier":
        taken = running_minimum(drawn_y)
    every = slopes(drawn_x, drawn_y, taken)
    name = f"dates moved by up to {days} days"
    return _resampled_result(
        name, float(np.median(every)), every, len(usable), "nothing else moves"
    )


def _t_test(line: Line, name: str, months: float) -> RateTest:
    if line.slope_error == 0:
        p = float(line.slope == -1 / months)
    else:
        t = abs(line.slope + 1 / months) / line.slope_error
        p = float(2 * stdtr(line.n - 2, -t))
    return RateTest(name=name, months=months, p_value=p, method="Student's t, fitted rows")


def _resampled_result(name: str, slope: float, every: Array, n: int, assumes: str) -> MethodResult:
    if n < LEAST_DRAWN:
        return _method_result(
            name, slope, -math.inf, math.inf, n, f"{assumes}; too few rows to draw"
        )
    low, high = np.quantile(every, [0.025, 0.975])
    return _method_result(name, slope, float(low), float(high), n, assumes)


def _method_result(
    name: str, slope: float, low: float, high: float, n: int, assumes: str
) -> MethodResult:
    """Convert a slope and its interval, log2 per month, to halving times."""
    return MethodResult(
        method=name,
        halving_months=_halving(slope),
        low_months=_halving(low),
        high_months=_halving(high),
        n=n,
        assumes=assumes,
    )


def _halving(slope: float) -> float | None:
    """Return the halving time; None for a rise, or for an open end."""
    return -1 / slope if -math.inf < slope < 0 else None


def months_of(rows: Sequence[FitRow]) -> Array:
    """Return the dates of rows in months; every row must have one."""
    return np.array([row.months for row in rows])


def logs_of(rows: Sequence[FitRow]) -> Array:
    """Return log2 of compute; every row must have reached the target."""
    return np.log2([row.known_compute for row in rows])
