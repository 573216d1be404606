"""One fit of a ledger: its rows, their halving time, robustness checks and the other method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from efficiency_bench.errors import UserError, unknown
from efficiency_bench.fitting.currencies import Crossing, Currency
from efficiency_bench.fitting.fit_row import RowSet
from efficiency_bench.fitting.groups import Axis, Selection
from efficiency_bench.fitting.halving import HalvingTime, Method, Variant, Verdict
from efficiency_bench.fitting.headline import MethodChoice, choose_method, fit_by
from efficiency_bench.fitting.robustness.checks import RobustnessChecks, robustness_checks
from efficiency_bench.fitting.robustness.crossing_errors import crossing_errors
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.records import Entry, Record


class OtherMethod(Record):
    """The halving time by the method that the headline does not use."""

    method: Method
    halving_months: float | None
    low_months: float | None
    high_months: float | None
    n: int
    verdict: Verdict | None
    reason: str | None
    """Why there is no fit."""


class Fit(RobustnessChecks, HalvingTime):
    """A halving time with its robustness checks; ``fit --json`` prints its dump."""

    method_reason: str
    """Why this method was used."""
    other_method: OtherMethod


def fit(
    entries: Sequence[Entry],
    selection: Selection,
    *,
    method: Method | None = None,
    variant: Variant | None = None,
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    hardware: str | None = None,
) -> Fit:
    """Fit the rows that match ``selection``.

    Raises UserError for an unknown choice, and whenever ``fit_rows`` or the method does.
    """
    for kind, choice, known in (
        ("method", method, Method),
        ("variant", variant, Variant),
        ("crossing", crossing, Crossing),
        ("currency", currency, Currency),
        ("axis", selection.axis, Axis),
    ):
        if choice is not None and choice not in get_args(known):
            raise unknown(kind, choice, get_args(known))
    rows = fit_rows(entries, selection, crossing=crossing, currency=currency, hardware=hardware)
    return fit_row_set(rows, entries, method, variant)


def fit_row_set(
    rows: RowSet,
    entries: Sequence[Entry],
    method: Method | None = None,
    variant: Variant | None = None,
) -> Fit:
    """Fit a row set whose runs are in ``entries``.  Raises UserError for too few rows."""
    choice = choose_method(rows, method, variant)
    result = fit_by(choice, rows)
    checks = robustness_checks(rows, result, crossing_errors(entries, rows))
    return Fit(
        **dict(result),
        **dict(checks),
        method_reason=choice.reason,
        other_method=_other(choice, rows),
    )


def _other(choice: MethodChoice, rows: RowSet) -> OtherMethod:
    other: Method = "frontier" if choice.method == "censored" else "censored"
    variant: Variant = "frontier" if other == "frontier" else "all"
    try:
        found = fit_by(MethodChoice(method=other, variant=variant, reason=""), rows, False)
    except UserError as error:
        return OtherMethod(
            method=other,
            halving_months=None,
            low_months=None,
            high_months=None,
            n=0,
            verdict=None,
            reason=str(error).partition("\n")[0],
        )
    return OtherMethod(
        method=other,
        halving_months=found.halving_months,
        low_months=found.low_months,
        high_months=found.high_months,
        n=found.n,
        verdict=found.verdict,
        reason=None,
    )
