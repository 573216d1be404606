"""The halving time of compute to a fixed accuracy: ``log2 C(t) = a - t / H``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.regression import Line, fit_line
from efficiency_bench.fitting.rows import DAYS_PER_MONTH, FitRow, RowSet
from efficiency_bench.records import Estimand, Record, Target, Tier

PAPER_2020_MONTHS = 16
"""Halving time of Hernandez & Brown 2020 (arXiv 2005.04305), abstract."""

MOORE_MONTHS = 24
"""Moore's law as that paper takes it: a doubling every two years, 11x in seven."""

LEAST_ROWS = 3
"""Two points always lie on a line: they leave no degree of freedom for an interval."""

Variant = Literal["frontier", "all"]
Verdict = Literal["halving", "not shown to halve", "doubling", "not shown to halve, doubling"]
"""Halving and doubling follow the slope's sign; "not shown": its interval contains 0."""


class HalvingTime(Record):
    """A fitted halving time, its interval, and the rows that it comes from."""

    halving_months: float | None
    """H; None where compute does not fall."""
    low_months: float | None
    """Fast end of the 95 % interval of H."""
    high_months: float | None
    """Slow end; None where the interval of the slope contains 0."""
    doubling_months: float | None
    """Where compute rises over time: months until it has doubled."""
    end_points_months: float | None
    """H through the first and the last row alone; None where compute does not fall."""
    reduction_factor: float
    """Compute of the first row over that of the last, among those fitted."""
    r_squared: float | None
    n: int
    """Rows fitted; seeds are not rows."""
    method: str
    variant: Variant
    verdict: Verdict
    currency: str
    """Listed field of the entry that was fitted, such as ``paper3x_tfs_days``."""
    crossing: str
    data: str
    data_digest: str | None
    target: Target
    estimand: Estimand
    tier: Tier
    slope_per_month: float
    """log2 of compute per month, with its 95 % interval."""
    slope_low_per_month: float
    slope_high_per_month: float
    line: tuple[dict[str, Any], ...]
    """The fitted line by date: ``date``, ``compute``, and its 95 % band ``low``, ``high``."""
    rows: tuple[dict[str, Any], ...]
    """Every row, fitted or not: the fields of ``FitRow`` with ``reached``, ``on_frontier``,
    ``fitted`` and ``reduction_factor`` (first fitted row over this one)."""
    notes: tuple[str, ...]


def halving_time(row_set: RowSet, variant: Variant = "frontier") -> HalvingTime:
    """Fit the halving time over the frontier or over all models.

    A frontier of fewer than three rows gives way to all models, and the result says so.
    Raises UserError for fewer than three dated rows that reached the target, or one date.
    """
    usable = [row for row in row_set.rows if row.reached and row.date is not None]
    if len(usable) < LEAST_ROWS:
        raise UserError(_too_few(row_set, len(usable)))
    on_frontier = frontier(usable)
    notes = list(row_set.notes)
    if variant == "frontier" and len(on_frontier) < LEAST_ROWS:
        variant = "all"
        notes.append(
            f"the frontier has only {len(on_frontier)} rows: fitted over all {len(usable)} models"
        )
    fitted = on_frontier if variant == "frontier" else usable
    months = [row.months for row in fitted]
    if min(months) == max(months):
        raise UserError(
            f"all {len(fitted)} rows are of {fitted[0].date}: no rate without a second date\n"
            "measure a network of another year: efficiency-bench train experiment=resnet18"
        )
    line = fit_line(months, [math.log2(row.known_compute) for row in fitted])
    first, last = ends(fitted)
    return HalvingTime(
        **rates(line),
        end_points_months=-1 / slope if (slope := end_points_slope(first, last)) < 0 else None,
        reduction_factor=first.known_compute / last.known_compute,
        r_squared=line.r_squared,
        n=line.n,
        method="least squares on log2 of compute, 95 % t-interval",
        variant=variant,
        currency=row_set.compute_unit,
        crossing=row_set.crossing,
        data=row_set.group.data,
        data_digest=row_set.group.data_digest or None,
        target=row_set.target,
        estimand=row_set.group.estimand,
        tier=row_set.group.tier,
        line=_band(line, fitted),
        rows=_all_shown(row_set.rows, on_frontier, fitted, first),
        notes=tuple(notes),
    )


def frontier(rows: Sequence[FitRow]) -> list[FitRow]:
    """The running minimum by date: rows cheaper than every earlier one.

    Of several on one date the cheapest counts.  ``rows`` have a date and reached the target.
    """
    kept: list[FitRow] = []
    for row in sorted(rows, key=lambda row: (row.day, row.known_compute)):
        if not kept or row.known_compute < kept[-1].known_compute:
            kept.append(row)
    return kept


def rates(line: Line) -> dict[str, Any]:
    """H, its interval, the doubling time and the verdict from the slope's interval."""
    falls, rises = line.slope < 0, line.slope > 0
    verdict: Verdict = "doubling" if rises else "halving"
    if line.slope_low <= 0 <= line.slope_high:
        verdict = "not shown to halve, doubling" if rises else "not shown to halve"
    return {
        "halving_months": -1 / line.slope if falls else None,
        "low_months": -1 / line.slope_low if line.slope_low < 0 else None,
        "high_months": -1 / line.slope_high if line.slope_high < 0 else None,
        "doubling_months": 1 / line.slope if rises else None,
        "verdict": verdict,
        "slope_per_month": line.slope,
        "slope_low_per_month": line.slope_low,
        "slope_high_per_month": line.slope_high,
    }


def end_points_slope(first: FitRow, last: FitRow) -> float:
    """log2 of compute per month, through two rows of different dates."""
    halvings = math.log2(last.known_compute / first.known_compute)
    return halvings / (last.months - first.months)


def ends(rows: Sequence[FitRow]) -> tuple[FitRow, FitRow]:
    """The oldest and the newest row; the cheapest where several share that date."""
    oldest = min(rows, key=lambda row: (row.day, row.known_compute))
    newest = min(rows, key=lambda row: (-row.day, row.known_compute))
    return oldest, newest


def _band(line: Line, rows: Sequence[FitRow], steps: int = 24) -> tuple[dict[str, Any], ...]:
    """The line from the first to the last date, in ``steps`` equal steps."""
    start, end = min(row.day for row in rows), max(row.day for row in rows)
    points = []
    for day in sorted({start + round((end - start) * i / steps) for i in range(steps + 1)}):
        x = day / DAYS_PER_MONTH
        centre, half = line.at(x), line.half_width(x)
        points.append(
            {
                "date": date.fromordinal(day).isoformat(),
                "compute": _power_of_two(centre),
                "low": _power_of_two(centre - half),
                "high": _power_of_two(centre + half),
            }
        )
    return tuple(points)


def _power_of_two(exponent: float) -> float:
    # three scattered points have a band beyond what a float holds; nothing is drawn out there
    return 2.0 ** min(max(exponent, -1000.0), 1000.0)


def _all_shown(
    rows: Sequence[FitRow], on_frontier: Sequence[FitRow], fitted: Sequence[FitRow], first: FitRow
) -> tuple[dict[str, Any], ...]:
    # by identity: comparing every row with every other took seconds for thousands
    best, used = ({id(row) for row in some} for some in (on_frontier, fitted))
    return tuple(_shown(row, id(row) in best, id(row) in used, first) for row in rows)


def _shown(row: FitRow, on_frontier: bool, fitted: bool, first: FitRow) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return {
        **fields,
        "run_ids": list(row.run_ids),
        "reached": row.reached,
        "on_frontier": on_frontier,
        "fitted": fitted,
        "reduction_factor": first.known_compute / row.compute if row.compute else None,
    }


def _too_few(row_set: RowSet, usable: int) -> str:
    remarks = "".join(f"\n  {note}" for note in row_set.notes)
    return (
        f"a fit needs at least {LEAST_ROWS} rows that reached the target and have a date; "
        f"here are {usable} of {len(row_set.rows)} ({row_set.group.options()}){remarks}\n"
        "measure more: efficiency-bench train experiment=resnet18; "
        "or fit the published rows: efficiency-bench fit published"
    )


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
    oldest, newest = ends(fitted)
    if oldest.day == newest.day:
        return Outcome(n=len(fitted), variant=variant, reason="all rows are of one date")
    if method == "end points":
        found: dict[str, Any] = _through(end_points_slope(oldest, newest))
    else:
        months = [row.months for row in fitted]
        found = rates(fit_line(months, [math.log2(row.known_compute) for row in fitted]))
    return Outcome(
        **{name: value for name, value in found.items() if name in Outcome.model_fields},
        reduction_factor=oldest.known_compute / newest.known_compute,
        n=len(fitted),
        variant=variant,
    )


def _through(slope: float) -> dict[str, float | None]:
    """Halving or doubling time of a slope, log2 per month; neither for no change."""
    return {
        "halving_months": -1 / slope if slope < 0 else None,
        "doubling_months": 1 / slope if slope > 0 else None,
    }
