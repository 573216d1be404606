"""What else the same rows say: other methods, rows left out, dates moved, tests and power."""

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
"""Half a month, the most that a date known by its month is off, and a quarter of a year, about
what lies between a preprint and its conference."""

LEAST_DRAWN = 5
"""Rows under which draws of them give no interval: of four rows it would be a third as long as
Student's."""

MOST_LEFT_OUT = 200
"""Rows up to which each is left out in turn; one of more cannot move the result."""


RATES = (("the 2020 paper", PAPER_2020_MONTHS), ("Moore's law", MOORE_MONTHS))
"""Halving times that the slope is tested against, months."""


class Opinion(Record):
    """One method's halving time with its 95 % interval, months."""

    method: str
    halving_months: float | None
    """None: it finds no fall."""
    low_months: float | None
    high_months: float | None
    """None: its interval reaches no change."""
    n: int
    """Rows that took part, censored ones included."""
    assumes: str


class RateTest(Record):
    """A test of the slope against a stated rate."""

    name: str
    months: float
    p_value: float
    """Two-sided: how often rows that halve at that rate would scatter as far from it."""
    method: str
    """The censored regression over all rows; for a fit of the frontier without censored rows,
    Student's t on the fitted rows."""


class SecondOpinions(Record):
    """The headline's rows by other methods, with rows left out, dates moved, tests and power."""

    methods: tuple[Opinion, ...]
    """The headline first."""
    leave_one_out_months: tuple[float | None, float | None]
    """Least and greatest halving time with one fitted row left out, by the headline's method (the
    frontier chosen again among the others); None: no fall, or too few."""
    moved_dates: tuple[Opinion, ...]
    """Least squares with every date moved at random by up to so many days."""
    tests: tuple[RateTest, ...]
    power: tuple[RatePower, ...]
    censored: int
    """Rows that never reached the target."""
    censored_in_part: int
    """Rows of which some seeds reached it."""
    opinion_notes: tuple[str, ...]


def second_opinions(
    row_set: RowSet, halving: HalvingTime, errors: SeedErrors | None = None
) -> SecondOpinions:
    """Compare ``halving``, which was fitted to ``row_set``, with other methods.

    ``errors``: those of the crossings (``crossing_errors``); None takes them as exact.
    """
    dated = [row for row in row_set.rows if row.date is not None and row.compute_spent > 0]
    usable = [row for row in dated if row.reached]
    censored = _censored(row_set)
    by_censored = [] if censored is None else [_censored_opinion(censored.fit)]
    asked: Variant = halving.variant if halving.method == "frontier" else "frontier"
    variant, line, fitted = _line(usable, asked)
    by_line: list[Opinion] = []
    moved: tuple[Opinion, ...] = ()
    notes = []
    if line is not None:
        by_line = _line_opinions(usable, fitted, line, variant, errors or {})
        moved = tuple(_moved_dates(usable, variant, days) for days in DATE_ERRORS_DAYS)
    else:
        notes.append("no least squares: fewer than three rows of different dates arrived")
    if len(usable) > MOST_ROWS:
        notes.append(f"Theil-Sen takes {MOST_ROWS} rows at most, evenly by date")
    first = halving.method == "censored"
    return SecondOpinions(
        methods=(*by_censored, *by_line) if first else (*by_line, *by_censored),
        leave_one_out_months=_censored_without_one(row_set, censored)
        if first
        else _leave_one_out(usable, fitted, halving.variant),
        moved_dates=moved,
        tests=_tests(line, censored, first or any(not row.reached for row in dated)),
        power=_power(halving, line, fitted, censored),
        censored=sum(not row.reached for row in dated),
        censored_in_part=sum(row.arrived_in_part for row in dated),
        opinion_notes=tuple(notes),
    )


def _censored(row_set: RowSet) -> CensoredRows | None:
    """None for too few rows, or one date."""
    try:
        taken = CensoredRows.of(row_set)
        return taken if taken.fit else None
    except UserError:
        return None


def _line(
    usable: Sequence[FitRow], variant: Variant
) -> tuple[Variant, Line | None, Sequence[FitRow]]:
    """Least squares over the rows of ``variant``, or all if the frontier has fewer than three.

    The line is None for fewer than three rows, or one date.
    """
    fitted = frontier(usable) if variant == "frontier" else usable
    if len(fitted) < LEAST_ROWS:
        variant, fitted = "all", usable
    if len(fitted) < LEAST_ROWS or len({row.day for row in fitted}) < 2:
        return variant, None, fitted
    return variant, fit_line(months_of(fitted).tolist(), logs_of(fitted).tolist()), fitted


def _censored_opinion(fit: CensoredFit) -> Opinion:
    assumes = f"normal scatter; {fit.n - fit.n_arrived} rows known to lie above what they spent"
    return Opinion(
        method="censored regression, all rows",
        halving_months=fit.halving_months,
        low_months=fit.low_months,
        high_months=fit.high_months,
        n=fit.n,
        assumes=assumes,
    )


def _line_opinions(
    usable: Sequence[FitRow],
    fitted: Sequence[FitRow],
    line: Line,
    variant: Variant,
    errors: SeedErrors,
) -> list[Opinion]:
    x, y, n = months_of(fitted), logs_of(fitted), len(fitted)
    median = theil_sen(x, y)
    normal = "normal scatter, rows given"
    name = f"least squares, {ROWS_NAMED[variant]}"
    found = [
        _opinion(name, line.slope, line.slope_low, line.slope_high, n, normal),
        _opinion("Theil-Sen", median.slope, median.low, median.high, median.n, "like scatter"),
        _drawn("pairs bootstrap", line.slope, pairs_bootstrap(x, y), n, "rows drawn at random"),
    ]
    if all(row.seed_computes for row in usable):
        draws = hierarchical_bootstrap(usable, months_of(usable), variant == "frontier", errors)
        assumes = "rows, seeds and crossings drawn (one seed: no scatter of seeds)"
        named = f"hierarchical bootstrap, {variant}"
        found.append(_drawn(named, line.slope, draws, len(usable), assumes))
    if variant == "frontier":
        every = fit_line(months_of(usable).tolist(), logs_of(usable).tolist())
        bounds = (every.slope, every.slope_low, every.slope_high)
        named = f"least squares, {ROWS_NAMED['all']}"
        found.append(_opinion(named, *bounds, len(usable), "no selection"))
    return found


def _censored_without_one(
    row_set: RowSet, taken: CensoredRows | None
) -> tuple[float | None, float | None]:
    if taken is None or not LEAST_ROWS < len(taken.rows) <= MOST_LEFT_OUT:
        return None, None
    slopes = []
    for row in taken.rows:
        try:
            found = CensoredRows.of(row_set, without=row).regression.slope_per_month
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
    # maximum likelihood takes no degrees of freedom off the scatter
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
        if len(kept) < LEAST_ROWS:  # as for the headline
            kept = others
        x = months_of(kept).tolist()
        if min(x) < max(x):
            found.append(fit_line(x, logs_of(kept).tolist()).slope)
    return (_halving(min(found)), _halving(max(found))) if found else (None, None)


def _moved_dates(usable: Sequence[FitRow], variant: Variant, days: int) -> Opinion:
    """The fit over draws in which every date moves, evenly within ``days`` either way."""
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
    return _drawn(name, float(np.median(every)), every, len(usable), "nothing else moves")


def _t_test(line: Line, name: str, months: float) -> RateTest:
    if line.slope_error == 0:
        p = float(line.slope == -1 / months)
    else:
        t = abs(line.slope + 1 / months) / line.slope_error
        p = float(2 * stdtr(line.n - 2, -t))
    return RateTest(name=name, months=months, p_value=p, method="Student's t, fitted rows")


def _drawn(name: str, slope: float, every: Array, n: int, assumes: str) -> Opinion:
    if n < LEAST_DRAWN:
        return _opinion(name, slope, -math.inf, math.inf, n, f"{assumes}; too few rows to draw")
    low, high = np.quantile(every, [0.025, 0.975])
    return _opinion(name, slope, float(low), float(high), n, assumes)


def _opinion(name: str, slope: float, low: float, high: float, n: int, assumes: str) -> Opinion:
    """A slope and its interval (log2 per month) as halving times."""
    return Opinion(
        method=name,
        halving_months=_halving(slope),
        low_months=_halving(low),
        high_months=_halving(high),
        n=n,
        assumes=assumes,
    )


def _halving(slope: float) -> float | None:
    """None for a rise, and for an end that is open."""
    return -1 / slope if -math.inf < slope < 0 else None


def months_of(rows: Sequence[FitRow]) -> Array:
    """Dates of dated rows, months since the calendar's beginning."""
    return np.array([row.months for row in rows])


def logs_of(rows: Sequence[FitRow]) -> Array:
    """log2 of the compute of rows that reached."""
    return np.log2([row.known_compute for row in rows])
