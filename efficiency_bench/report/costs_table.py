"""The terminal's table of what each run cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from efficiency_bench.report.layout import plain_table
from efficiency_bench.report.sentences import number, percent

UNKNOWN = "unknown"

COLUMNS = {
    "train_seconds": "s",
    "images_per_second": "images/s",
    "achieved_flops_per_second": "GFLOP/s",
    "share_of_peak": "of peak",
    "energy_joules": "joules",
    "dollars": "USD",
}


def costs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line an entry, of the listed rows of the ledger; fits 80 columns."""
    table = plain_table("What training cost", "run id", *COLUMNS.values())
    for row in rows:
        table.add_row(row["run_id"], *(_cell(name, row[name]) for name in COLUMNS))
    return table


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if name == "share_of_peak":
        return percent(round(value, 3))
    return number(value / 1e9 if name == "achieved_flops_per_second" else value)
