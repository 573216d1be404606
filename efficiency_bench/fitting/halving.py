"""The halving time of compute to a fixed accuracy: ``log2 C(t) = a - t / H``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH, FitRow, RowSet
from efficiency_bench.fitting.groups import Axis
from efficiency_bench.fitting.regression import Array, Line, fit_line
from efficiency_bench.fitting.slope_share import slope_share
from efficiency_bench.records import Estimand, Record, Target, Tier

PAPER_2020_MONTHS = 16
"""Halving time of Hernandez & Brown 2020 (arXiv 2005.04305), abstract."""

MOORE_MONTHS = 24
"""Moore's law as used in that paper: a doubling every two years, 11x in seven."""

LEAST_ROWS = 3
"""Two points determine a line and leave no degree of freedom for an interval."""

Method = Literal["censored", "frontier"]
"""``censored``: interval-censored regression over all rows.  ``frontier``: least squares on rows
that reached the target, the method of 2020."""

Variant = Literal["frontier", "all"]
"""Rows used by least squares: the frontier (running minimum by date), or all."""

Verdict = Literal["halving", "not shown to halve", "doubling", "not shown to halve, doubling"]
"""Halving or doubling, by the slope's sign; "not shown" if its interval contains 0."""


class HalvingTime(Record):
    """A fitted halving time, its interval, and the rows that it comes from."""

    halving_months: float | None
    """H; None if compute does not fall."""
    low_months: float | None
    """Fast end of the 95 % interval of H."""
    high_months: float | None
    """Slow end; None if the interval of the slope contains 0."""
    doubling_months: float | None
    """Months until compute has doubled; None if it does not rise."""
    end_points_months: float | None
    """H through only the first and the last row; None if compute does not fall."""
    reduction_factor: float | None
    """Compute of the first fitted row over that of the last; for the censored regression, the ratio
    along its line from the first date to the last."""
    r_squared: float | None
    """None for the censored regression, and if every compute is the same."""
    n: int
    """Number of fitted rows; seeds are not rows."""
    n_arrived: int
    """Number of fitted rows that reached the target."""
    method: Method
    variant: Variant
    verdict: Verdict
    currency: str
    """The fitted quantity with its unit, as in ``ledger list``: ``paper3x_tfs_days``."""
    crossing: str
    data: str
    data_digest: str | None
    target: Target
    estimand: Estimand
    tier: Tier
    axis: Axis | None
    """What varies between rows; None: both the architecture and the recipe."""
    slope_per_month: float | None
    """log2 of compute per month; None: the rows do not identify it."""
    slope_low_per_month: float | None
    slope_high_per_month: float | None
    """Ends of its 95 % interval; None: open."""
    macs_per_month: float | None
    """Contribution of MACs per image to the slope; None: no slope, or MACs are not known."""
    images_per_month: float | None
    """Contribution of images to the target, the rest of the slope."""
    scatter: float | None
    """Standard deviation of rows about the line, log2 of compute; None: not identified."""
    scatter_is_bound: bool = False
    """Whether ``scatter`` is an upper bound, because the intervals are too wide to resolve it."""
    seed_scatter: float | None = None
    """Standard deviation of seeds about their row, log2 of compute; None: not estimated."""
    target_error: float | None = None
    """Standard error of the target, a fraction, if the interval covers it; else None."""
    search_tfs_days: float | None = None
    """Compute of all searches for learning rates, not part of any row's; None: not recorded."""
    line: tuple[dict[str, Any], ...]
    """Points of the fitted line: ``date``, ``compute``, and the ends of its 95 % band, ``low`` and
    ``high`` (None: open).  Empty without a slope."""
    rows: tuple[dict[str, Any], ...]
    """Every row, fitted or not: the fields of ``FitRow`` with ``reached``, ``censoring``,
    ``on_frontier``, ``fitted`` and ``reduction_factor`` (first fitted row over this one)."""
    notes: tuple[str, ...]

    @property
    def macs_share(self) -> float | None:
        """Share of the slope due to MACs per image, negative if they oppose it; None: not known."""
        if self.macs_per_month is None or not self.slope_per_month:
            return None
        return self.macs_per_month / self.slope_per_month


def halving_time(row_set: RowSet, variant: Variant = "frontier") -> HalvingTime:
    """Fit the halving time by least squares over the frontier or over all models.

    If the frontier has fewer than three rows, all models are fitted and a note says so.  Raises
    UserError for fewer than three dated rows that reached the target, or if all have one date.
    """
    usable = [row for row in row_set.rows if row.reached and row.date is not None]
    if len(usable) < LEAST_ROWS:
        raise UserError(too_few(row_set, len(usable), "that reached the target"))
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
            f"all {len(fitted)} rows have the date {fitted[0].date}: a rate requires two dates\n"
            "measure a network of another year: efficiency-bench train experiment=resnet18"
        )
    line = fit_line(months, [math.log2(row.known_compute) for row in fitted])
    first, last = ends(fitted)
    return HalvingTime(
        **line_rates(line),
        end_points_months=-1 / slope if (slope := end_points_slope(first, last)) < 0 else None,
        reduction_factor=first.known_compute / last.known_compute,
        r_squared=line.r_squared,
        n=line.n,
        n_arrived=line.n,
        method="frontier",
        variant=variant,
        **slope_parts(fitted, line.slope),
        scatter=math.sqrt(line.residual_variance),
        **shared_fields(row_set, fitted),
        line=_band(line, fitted),
        rows=result_rows(row_set.rows, fitted, first.known_compute),
        notes=tuple(notes),
    )


def shared_fields(row_set: RowSet, fitted: Sequence[FitRow]) -> dict[str, Any]:
    """Return the fields of ``HalvingTime`` that do not depend on the method."""
    searches = [row.search_tfs_days for row in fitted if row.search_tfs_days is not None]
    return {
        "currency": row_set.compute_unit,
        "crossing": row_set.crossing,
        "data": row_set.group.data,
        "data_digest": row_set.group.data_digest or None,
        "target": row_set.target,
        "estimand": row_set.group.estimand,
        "tier": row_set.group.tier,
        "axis": row_set.axis,
        "search_tfs_days": math.fsum(searches) if searches else None,
    }


def slope_parts(
    fitted: Sequence[FitRow], slope: float | None, columns: Array | None = None
) -> dict[str, Any]:
    """Return ``macs_per_month`` and ``images_per_month``; ``columns``: further fixed effects."""
    if slope is None or not all(row.forward_macs > 0 for row in fitted):
        return {"macs_per_month": None, "images_per_month": None}
    months, macs = [row.months for row in fitted], [row.forward_macs for row in fitted]
    share = slope_share(months, macs, slope, columns)
    return {"macs_per_month": share.macs_per_month, "images_per_month": share.images_per_month}


def frontier(rows: Sequence[FitRow]) -> list[FitRow]:
    """Return the running minimum by date: the rows that are cheaper than every earlier one.

    If several rows have the same date, only the cheapest can be on the frontier.  ``rows`` must
    have a date and have reached the target.
    """
    kept: list[FitRow] = []
    for row in sorted(rows, key=lambda row: (row.day, row.known_compute)):
        if not kept or row.known_compute < kept[-1].known_compute:
            kept.append(row)
    return kept


def line_rates(line: Line) -> dict[str, Any]:
    """Return H, its interval, the doubling time and the verdict, from the slope's interval."""
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
    """Return the slope through two rows of different dates, log2 of compute per month."""
    halvings = math.log2(last.known_compute / first.known_compute)
    return halvings / (last.months - first.months)


def ends(rows: Sequence[FitRow]) -> tuple[FitRow, FitRow]:
    """Return the oldest and the newest row; if several share a date, the cheapest of them."""
    oldest = min(rows, key=lambda row: (row.day, row.known_compute))
    newest = min(rows, key=lambda row: (-row.day, row.known_compute))
    return oldest, newest


def _band(line: Line, rows: Sequence[FitRow]) -> tuple[dict[str, Any], ...]:
    """Return the line and its band from the first to the last date."""
    points = []
    for day in band_days(min(row.day for row in rows), max(row.day for row in rows)):
        x = day / DAYS_PER_MONTH
        centre, half = line.at(x), line.half_width(x)
        points.append(
            {
                "date": date.fromordinal(day).isoformat(),
                "compute": power_of_two(centre),
                "low": power_of_two(centre - half),
                "high": power_of_two(centre + half),
            }
        )
    return tuple(points)


def band_days(first: int, last: int, steps: int = 24) -> list[int]:
    """Return ordinal days from the first to the last in ``steps`` equal steps."""
    return sorted({first + round((last - first) * i / steps) for i in range(steps + 1)})


def power_of_two(exponent: float) -> float:
    """Return 2**exponent without overflow: the band of three scattered rows can be that wide."""
    return float(2.0 ** min(max(exponent, -1000.0), 1000.0))


def result_rows(
    rows: Sequence[FitRow], fitted: Sequence[FitRow], first_compute: float | None
) -> tuple[dict[str, Any], ...]:
    """Return ``HalvingTime.rows``; ``first_compute``: compute of the first fitted row."""
    usable = [row for row in rows if row.reached and row.date is not None]
    # by identity: comparing thousands of rows with each other took seconds
    best, used = ({id(row) for row in some} for some in (frontier(usable), fitted))
    return tuple(_result_row(row, id(row) in best, id(row) in used, first_compute) for row in rows)


INTERNAL_FIELDS = {"ladders", "missed_computes"}


def _result_row(
    row: FitRow, on_frontier: bool, fitted: bool, first_compute: float | None
) -> dict[str, Any]:
    names = (name for name in row.__dataclass_fields__ if name not in INTERNAL_FIELDS)
    return {
        **{name: getattr(row, name) for name in names},
        "run_ids": list(row.run_ids),
        "reached": row.reached,
        "censoring": row.censoring,
        "on_frontier": on_frontier,
        "fitted": fitted,
        "reduction_factor": first_compute / row.compute if row.compute and first_compute else None,
    }


def too_few(row_set: RowSet, usable: int, wanted: str) -> str:
    """Return the message that there are too few rows; ``wanted``: which rows count."""
    remarks = "".join(f"\n  {note}" for note in row_set.notes)
    return (
        f"a fit needs at least {LEAST_ROWS} rows {wanted} and have a date; "
        f"here {usable} of {len(row_set.rows)} do ({row_set.group.options()}){remarks}\n"
        "measure more: efficiency-bench train experiment=resnet18; "
        "or fit the published rows: efficiency-bench fit published"
    )
