"""Which method a fit uses, and why."""

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
"""How a line is laid through rows: the two methods, and the first and the last row alone."""


class MethodChoice(Record):
    """A method and why it was taken."""

    method: Method
    variant: Variant
    """Rows of least squares; the censored regression always takes all."""
    reason: str


def chosen(
    row_set: RowSet, method: Method | None = None, variant: Variant | None = None
) -> MethodChoice:
    """The method asked for; else that of 2020 for published rows and the censored one for others.

    Raises UserError for a variant of the censored regression other than all rows.
    """
    if method == "censored" and variant == "frontier":
        raise UserError(
            "--variant frontier with --method censored is invalid: it takes all rows\n"
            "least squares on the frontier: --method frontier"
        )
    if method is not None:
        return MethodChoice(
            method=method,
            variant=_variant(method, variant),
            reason=f"asked for by --method {method}",
        )
    if variant is not None and row_set.group.tier != "published":
        return MethodChoice(
            method="frontier",
            variant=variant,
            reason="--variant chooses rows of least squares",
        )
    if row_set.group.tier == "published":
        return MethodChoice(
            method="frontier",
            variant=variant or "frontier",
            reason="published rows: the method of 2020, and all of them arrived",
        )
    return MethodChoice(
        method="censored",
        variant="all",
        reason="measured rows: those that did not arrive count too, as bounds",
    )


def _variant(method: Method, variant: Variant | None) -> Variant:
    return "all" if method == "censored" else variant or "frontier"


def fitted_by(choice: MethodChoice, row_set: RowSet, with_line: bool = True) -> HalvingTime:
    """The halving time by that method.

    ``with_line`` False: without the line that charts draw, if it takes time.  Raises UserError for
    too few rows, or one date.
    """
    if choice.method == "censored":
        return censored_halving_time(row_set, with_line)
    return halving_time(row_set, choice.variant)


class FitOrReason(Record):
    """What one fit gives; the fields are ``HalvingTime``'s, None if there is no fit."""

    reduction_factor: float | None = None
    """Compute of the first fitted row over that of the last; by the censored regression, along its
    line."""
    halving_months: float | None = None
    low_months: float | None = None
    high_months: float | None = None
    """Ends of the 95 % interval; None through end points, or if it reaches no change."""
    doubling_months: float | None = None
    n: int = 0
    """Rows fitted."""
    variant: Variant | None = None
    """A frontier of fewer than three rows gives way to all models."""
    verdict: Verdict | None = None
    reason: str | None = None
    """Why there is no fit."""


def fit_or_reason(
    row_set: RowSet,
    variant: Variant = "frontier",
    line: LineThrough = "least squares",
    interval: bool = True,
) -> FitOrReason:
    """Fit ``log2 C = a - t / H``; if ``fitted_by`` would raise, say why in ``reason``.

    ``interval`` False: the censored regression's interval, which takes most of its time, is left
    out.
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
        return FitOrReason(n=len(fitted), variant=variant, reason="all rows are of one date")
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
        taken = CensoredRows.of(row_set)
        slope = taken.regression.slope_per_month
    except UserError as error:
        return FitOrReason(reason=str(error).partition("\n")[0])
    n = len(taken.rows)
    if slope is None:
        return FitOrReason(n=n, variant="all", reason="too few rows arrived to identify a slope")
    days = [row.day for row in taken.rows]
    months = (max(days) - min(days)) / DAYS_PER_MONTH
    found = censored_rates(taken.fit) if interval else _through(slope)
    return FitOrReason(
        **_known(found), reduction_factor=power_of_two(-slope * months), n=n, variant="all"
    )


def _known(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in FitOrReason.model_fields}


def _through(slope: float) -> dict[str, float | None]:
    """Halving or doubling time of a slope, log2 per month; neither for no change."""
    return {
        "halving_months": -1 / slope if slope < 0 else None,
        "doubling_months": 1 / slope if slope > 0 else None,
    }
