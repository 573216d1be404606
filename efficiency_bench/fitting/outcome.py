"""Factor and halving time of a set of rows, bare: what a table of many fits needs of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from efficiency_bench.fitting.halving import (
    LEAST_ROWS,
    Variant,
    Verdict,
    end_points_slope,
    ends,
    frontier,
    rates,
)
from efficiency_bench.fitting.regression import fit_line
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
