"""The headlines of several comparable sets, such as two data sets, as one table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from efficiency_bench.fitting.halving import HalvingTime
from efficiency_bench.report.tables.layout import ABSENT, interval, one_decimal, plain_table


def sets_table(sets: Iterable[tuple[str, HalvingTime | None]]) -> Table:
    """One line per set: its name and its fit, None if there is none."""
    table = plain_table(
        "Halving time of each set", "set", "months", "95 %", "factor", "arrived", "n"
    )
    for name, fit in sets:
        if fit is None:
            table.add_row(name, *[ABSENT] * 5)
            continue
        table.add_row(
            name,
            one_decimal(fit.halving_months),
            interval(fit.low_months, fit.high_months),
            ABSENT if fit.high_months is None else f"{fit.reduction_factor:.3g}x",
            str(fit.n_arrived),
            str(fit.n),
        )
    return table
