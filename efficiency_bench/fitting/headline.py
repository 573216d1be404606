"""The choice of the method for a fit, with the reason."""

from __future__ import annotations

import math
from typing import Any, Literal

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored import CensoredRows, censored_halving_time, censored_rates
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH, RowSet
from efficiency_bench.fitting.halving import (
    LEAST_ROWS,
    HalvingTime,
    Method,
    Variant,
    Verdict,
    end_points_slope,
    ends,
    frontier,
    halving_time,
    line_rates,
    power_of_two,
)
from efficiency_bench.fitting.regression import fit_line
from efficiency_bench.records import Record

LineThrough = Literal["censored", "least squares", "end points"]
"""How a line is fitted: by one of the two methods, or through the first and the last row only."""


class MethodChoice(Record):
    """The chosen method and the reason."""

    method: Method
    variant: Variant
    """Rows used by least squares; the censored regression always uses all."""
    reason: str


def choose_method(
    row_set: RowSet, method: Method | None = None, variant: Variant | None = None
) -> MethodChoice:
    """Return the requested method; by default, the 2020 method for published rows, else censored.

    Raises UserError if the censored regression is requested with the frontier's rows.
    """
    if method == "censored" and variant == "frontier":
        raise UserError(
            "--variant frontier with --method censored is invalid: that method uses all rows\n"
            "for least squares on the frontier: --method frontier"
        )
    if method is not None:
        return MethodChoice(
            method=method,
            variant=_variant(method, variant),
            reason=f"requested by --method {method}",
        )
    if variant is not None and row_set.group.tier != "published":
        return MethodChoice(
            method="frontier",
            variant=variant,
            reason="--variant applies to least squares only",
        )
    if row_set.group.tier == "published":
        return MethodChoice(
            method="frontier",
            variant=variant or "frontier",
            reason="published rows: the method of 2020, and all of them reached the target",
        )
    return MethodChoice(
        method="censored",
        variant="all",
        reason="measured rows: those that did not reach the target count too, as bounds",
    )


def _variant(method: Method, variant: Variant | None) -> Variant:
    return "all" if method == "censored" else variant or "frontier"


def fit_by(choice: MethodChoice, row_set: RowSet, with_line: bool = True) -> HalvingTime:
    """Fit the halving time by the chosen method.

    ``with_line=False`` skips the line for the chart if it takes time to compute.  Raises UserError
    for too few rows, or if all have the same date.
    """
    if choice.method == "censored":
        return censored_halving_time(row_set, with_line)
    return halving_time(row_set, choice.variant)


class FitOrReason(Record):
    """The main fields of a ``HalvingTime``, or the reason why there is no fit."""

    reduction_factor: float | None = None
    """Compute of the first fitted row over that of the last; for the censored regression, the ratio
    along its line."""
    halving_months: float | None = None
    low_months: float | None = None
    high_months: float | None = None
    """Ends of the 95 % interval; None for end points, or if the interval includes no change."""
    doubling_months: float | None = None
    n: int = 0
    """Number of fitted rows."""
    variant: Variant | None = None
    """``all`` instead of ``frontier`` if the frontier has fewer than three rows."""
    verdict: Verdict | None = None
    reason: str | None = None
    """Why there is no fit."""


def fit_or_reason(
    row_set: RowSet,
    variant: Variant = "frontier",
    line: LineThrough = "least squares",
    interval: bool = True,
) -> FitOrReason:
    """Fit ``log2 C = a - t / H``; if ``fit_by`` would raise, return the reason.

    ``interval=False`` skips the interval of the censored regression, which takes most of its time.
    """
    if line == "censored":
        return _censored_or_reason(row_set, interval)
    usable = [row for row in row_set.rows if row.reached and row.date is not None]
    if len(usable) < LEAST_ROWS:
        return FitOrReason(
            n=len(usable),
            reason=f"{len(usable)} dated rows, {LEAST_ROWS} needed",
        )
    fitted = frontier(usable) if variant == "frontier" else usable
    if len(fitted) < LEAST_ROWS:
        fitted, variant = usable, "all"
    oldest, newest = ends(fitted)
    if oldest.day == newest.day:
        return FitOrReason(n=len(fitted), variant=variant, reason="all rows have the same date")
    if line == "end points":
        found: dict[str, Any] = _through(end_points_slope(oldest, newest))
    else:
        months = [row.months for row in fitted]
        found = line_rates(fit_line(months, [math.log2(row.known_compute) for row in fitted]))
    return FitOrReason(
        **_known(found),
        reduction_factor=oldest.known_compute / newest.known_compute,
        n=len(fitted),
        variant=variant,
    )


def _censored_or_reason(row_set: RowSet, interval: bool) -> FitOrReason:
    try:
        taken = CensoredRows.from_row_set(row_set)
        slope = taken.regression.slope_per_month
    except UserError as error:
        return FitOrReason(reason=str(error).partition("\n")[0])
    n = len(taken.rows)
    if slope is None:
        return FitOrReason(
            n=n, variant="all", reason="too few rows reached the target to identify a slope"
        )
    days = [row.day for row in taken.rows]
    months = (max(days) - min(days)) / DAYS_PER_MONTH
    found = censored_rates(taken.fit) if interval else _through(slope)
    return FitOrReason(
        **_known(found), reduction_factor=power_of_two(-slope * months), n=n, variant="all"
    )


def _known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in FitOrReason.model_fields}


def _through(slope: float) -> dict[str, float | None]:
    """Return the halving or doubling time of a slope, log2 per month; neither for zero."""
    return {
        "halving_months": -1 / slope if slope < 0 else None,
        "doubling_months": 1 / slope if slope > 0 else None,
    }
