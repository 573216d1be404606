"""One fit of a ledger: its rows gathered, their halving time, and that halving time questioned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from efficiency_bench.errors import unknown
from efficiency_bench.fitting.currencies import Crossing, Currency
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import HalvingTime, Variant, halving_time
from efficiency_bench.fitting.robustness.crossing_errors import crossing_errors
from efficiency_bench.fitting.robustness.second_opinions import SecondOpinions, second_opinions
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.records import Entry


class Fit(SecondOpinions, HalvingTime):
    """A halving time with its second opinions; dumped, it is what ``fit --json`` prints."""


def fit(
    entries: Sequence[Entry],
    selection: Selection,
    *,
    variant: Variant = "frontier",
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    hardware: str | None = None,
) -> Fit:
    """Fit the rows that ``selection`` leaves.

    Raises UserError for an unknown choice, and where ``fit_rows`` or ``halving_time`` does.
    """
    for kind, choice, known in (
        ("variant", variant, Variant),
        ("crossing", crossing, Crossing),
        ("currency", currency, Currency),
    ):
        if choice not in get_args(known):
            raise unknown(kind, choice, get_args(known))
    rows = fit_rows(entries, selection, crossing=crossing, currency=currency, hardware=hardware)
    result = halving_time(rows, variant)
    opinions = second_opinions(rows, result, crossing_errors(entries, rows))
    return Fit(**dict(result), **dict(opinions))
