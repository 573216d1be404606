"""Factor and halving time of a set of rows, bare: what a table of many fits needs of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Literal

from efficiency_bench.fitting.halving import (
    DAYS_PER_MONTH,
    LEAST_ROWS,
    Variant,
    Verdict,
    frontier,
)
from efficiency_bench.fitting.regression import Line, fit_line
from efficiency_bench.fitting.rows import FitRow
from efficiency_bench.records import Record

Method = Literal["least squares", "end points"]


class Outcome(Record):
    """What one fit gives; the fields are ``HalvingTime``'s, None where there is no fit."""

    reduction_factor: float | None = None
    """Compute of the oldest fitted row over that of the newest."""
    halving_months: float | None = None
    low_months: float | None = None
    high_months: float | None = None
    """Ends of the 95 % t-interval; None through end points, or where it reaches no change."""
    doubling_months: float | None = None
    n: int = 0
    """Rows fitted."""
    variant: Variant | None = None
    """A frontier of fewer than three rows gives way to all models."""
    verdict: Verdict | None = None
    reason: str | None = None
    """Why there is no fit."""


def outcome(
    rows: Sequence[FitRow], variant: Variant = "frontier", method: Method = "least squares"
) -> Outcome:
    """Fit ``log2 C = a - t / H`` to the dated rows that reached the target.

    The rules are those of ``halving.halving_time``; where it raises, this says why in ``reason``.
    """
    usable = [row for row in rows if row.reached and row.date is not None]
    if len(usable) < LEAST_ROWS:
        return Outcome(
            n=len(usable),
            reason=f"{len(usable)} dated rows, {LEAST_ROWS} needed",
        )
    fitted = frontier(usable) if variant == "frontier" else usable
    if len(fitted) < LEAST_ROWS:
        fitted, variant = usable, "all"
    days = [_day(row) for row in fitted]
    if min(days) == max(days):
        return Outcome(n=len(fitted), variant=variant, reason="all rows are of one date")
    oldest = min(fitted, key=lambda row: (_day(row), _compute(row)))
    newest = min(fitted, key=lambda row: (-_day(row), _compute(row)))
    if method == "end points":
        months, halvings = _slope(_end_points(oldest, newest))
        parts = Outcome(halving_months=months, doubling_months=halvings)
    else:
        x = [day / DAYS_PER_MONTH for day in days]
        parts = _by_line(fit_line(x, [math.log2(_compute(row)) for row in fitted]))
    return parts.model_copy(
        update={
            "reduction_factor": _compute(oldest) / _compute(newest),
            "n": len(fitted),
            "variant": variant,
        }
    )


def _by_line(line: Line) -> Outcome:
    halving, doubling = _slope(line.slope)
    verdict: Verdict = "halving" if line.slope <= 0 else "doubling"
    if line.slope_low <= 0 <= line.slope_high:
        verdict = "not shown to halve" if line.slope <= 0 else "not shown to halve, doubling"
    return Outcome(
        halving_months=halving,
        low_months=-1 / line.slope_low if line.slope_low < 0 else None,
        high_months=-1 / line.slope_high if line.slope_high < 0 else None,
        doubling_months=doubling,
        verdict=verdict,
    )


def _end_points(oldest: FitRow, newest: FitRow) -> float:
    months = (_day(newest) - _day(oldest)) / DAYS_PER_MONTH
    return math.log2(_compute(newest) / _compute(oldest)) / months


def _slope(log2_per_month: float) -> tuple[float | None, float | None]:
    """Halving and doubling time in months: one of the two, or neither for no change."""
    if log2_per_month == 0:
        return None, None
    months = -1 / log2_per_month
    return (months, None) if months > 0 else (None, -months)


def _day(row: FitRow) -> int:
    assert row.date is not None
    return date.fromisoformat(row.date).toordinal()


def _compute(row: FitRow) -> float:
    assert row.compute is not None
    return row.compute
