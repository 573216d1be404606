"""What else the same rows say: other methods, rows left out, dates moved, tests and power."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from efficiency_bench.fitting.halving import (
    LEAST_ROWS,
    MOORE_MONTHS,
    PAPER_2020_MONTHS,
    HalvingTime,
    Variant,
    frontier,
)
from efficiency_bench.fitting.regression import Line, fit_line
from efficiency_bench.fitting.robustness.bootstrap import (
    SEED,
    draws_for,
    hierarchical_bootstrap,
    pairs_bootstrap,
    running_minimum,
    slopes,
)
from efficiency_bench.fitting.robustness.crossing_errors import SeedErrors
from efficiency_bench.fitting.robustness.power import Needed, further_rows
from efficiency_bench.fitting.robustness.theil_sen import MOST_ROWS, theil_sen
from efficiency_bench.fitting.robustness.tobit import CensoredLine, censored_line, slope_p_value
from efficiency_bench.fitting.rows import DAYS_PER_MONTH, FitRow, RowSet
from efficiency_bench.records import Record

Array = NDArray[np.float64]

DATE_ERRORS_DAYS = (15, 90)
"""Half a month, the most that a date known by its month is off, and a quarter of a year, about
what lies between a preprint and its conference."""

LEAST_DRAWN = 5
"""Rows under which draws of them give no interval: of four rows it would be a third as long as
Student's."""

MOST_LEFT_OUT = 200
"""Rows up to which each is left out in turn; one of more cannot move the result."""


TOBIT = "Tobit, all rows"

RATES = (("the 2020 paper", PAPER_2020_MONTHS), ("Moore's law", MOORE_MONTHS))
"""Halving times that the slope is tested against, months."""


class Method(Record):
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
    """A test of the slope against a given rate."""

    name: str
    months: float
    p_value: float
    """Two-sided: how often rows that halve at that rate would scatter as far from it."""
    method: str
    """Student's t on the fitted rows; where seeds missed the target, Tobit over all rows, since
    the fitted ones are only those that arrived."""


class SecondOpinions(Record):
    """The headline's rows, questioned."""

    methods: tuple[Method, ...]
    leave_one_out_months: tuple[float | None, float | None]
    """Least and greatest halving time with one fitted row left out, the frontier chosen again
    among the others; None: no fall, or too few."""
    moved_dates: tuple[Method, ...]
    """Every date moved at random by up to so many days."""
    tests: tuple[RateTest, ...]
    power: tuple[Needed, ...]
    censored: int
    """Rows that never reached the target; Tobit takes them as above what they spent."""
    censored_in_part: int
    """Rows of which some seeds reached it; Tobit takes them as above ``compute_at_least``."""
    opinion_notes: tuple[str, ...]


def second_opinions(
    row_set: RowSet, halving: HalvingTime, errors: SeedErrors | None = None
) -> SecondOpinions:
    """Question ``halving``, which was fitted to ``row_set``.

    ``errors``: those of the crossings (``crossing_errors``); None takes them as exact.
    """
    dated = [row for row in row_set.rows if row.date is not None and row.compute_spent > 0]
    usable = [row for row in dated if row.reached]
    fitted = frontier(usable) if halving.variant == "frontier" else usable
    line = fit_line(months_of(fitted).tolist(), logs_of(fitted).tolist())
    missed = _missed(dated)
    tobit = _tobit(dated, missed)
    notes = []
    if tobit is None:
        notes.append("no Tobit: fewer than three rows of different dates arrived in every seed")
    if len(usable) > MOST_ROWS:
        notes.append(f"Theil-Sen takes {MOST_ROWS} rows at most, evenly by date")
    return SecondOpinions(
        methods=(
            *_methods(usable, fitted, halving.variant, errors or {}),
            *(() if tobit is None else (_tobit_method(tobit, missed),)),
        ),
        leave_one_out_months=_leave_one_out(usable, fitted, halving.variant),
        moved_dates=tuple(_moved_dates(usable, halving.variant, days) for days in DATE_ERRORS_DAYS),
        tests=tuple(
            _t_test(line, name, months)
            if tobit is None or not missed.any()
            else _tobit_test(dated, missed, name, months)
            for name, months in RATES
        ),
        power=further_rows(line, months_of(fitted).tolist()),
        censored=sum(not row.reached for row in dated),
        censored_in_part=sum(row.arrived_in_part for row in dated),
        opinion_notes=tuple(notes),
    )


def _methods(
    usable: Sequence[FitRow],
    fitted: Sequence[FitRow],
    variant: Variant,
    errors: SeedErrors,
) -> list[Method]:
    x, y, n = months_of(fitted), logs_of(fitted), len(fitted)
    line = fit_line(x.tolist(), y.tolist())
    median = theil_sen(x, y)
    normal = "normal scatter, rows given"
    found = [
        _method("least squares, t", line.slope, line.slope_low, line.slope_high, n, normal),
        _method("Theil-Sen", median.slope, median.low, median.high, median.n, "like scatter"),
        _drawn("pairs bootstrap", line.slope, pairs_bootstrap(x, y), n, "rows drawn at random"),
        _drawn(
            f"hierarchical bootstrap, {variant}",
            line.slope,
            hierarchical_bootstrap(usable, months_of(usable), variant == "frontier", errors),
            len(usable),
            "rows, seeds and crossings drawn (one seed: no scatter of seeds)",
        ),
    ]
    if variant == "frontier":
        every = fit_line(months_of(usable).tolist(), logs_of(usable).tolist())
        bounds = (every.slope, every.slope_low, every.slope_high)
        found.append(_method("least squares, all rows", *bounds, len(usable), "no selection"))
    return found


def _missed(dated: Sequence[FitRow]) -> NDArray[np.bool_]:
    """Rows of which a seed missed the target: their compute lies above ``compute_at_least``."""
    return np.array([not row.reached or row.arrived_in_part for row in dated])


def _bounds(dated: Sequence[FitRow]) -> Array:
    """log2 of each row's compute, of one that missed of what it lies above."""
    return np.log2([row.compute_at_least for row in dated])


def _tobit(dated: Sequence[FitRow], missed: NDArray[np.bool_]) -> CensoredLine | None:
    """None where too few rows arrived in every seed."""
    months = months_of(dated)
    if (~missed).sum() < LEAST_ROWS or np.ptp(months[~missed]) == 0:
        return None
    return censored_line(months, _bounds(dated), missed)


def _tobit_method(line: CensoredLine, missed: NDArray[np.bool_]) -> Method:
    assumes = f"normal scatter; {int(missed.sum())} rows known to lie above"
    return _method(TOBIT, line.slope, line.low, line.high, len(missed), assumes)


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


def _moved_dates(usable: Sequence[FitRow], variant: Variant, days: int) -> Method:
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


def _tobit_test(
    dated: Sequence[FitRow], missed: NDArray[np.bool_], name: str, months: float
) -> RateTest:
    p = slope_p_value(months_of(dated), _bounds(dated), missed, -1 / months)
    return RateTest(name=name, months=months, p_value=p, method=TOBIT)


def _drawn(name: str, slope: float, every: Array, n: int, assumes: str) -> Method:
    if n < LEAST_DRAWN:
        return _method(name, slope, -math.inf, math.inf, n, f"{assumes}; too few rows to draw")
    low, high = np.quantile(every, [0.025, 0.975])
    return _method(name, slope, float(low), float(high), n, assumes)


def _method(name: str, slope: float, low: float, high: float, n: int, assumes: str) -> Method:
    """A slope and its interval (log2 per month) as halving times."""
    return Method(
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
