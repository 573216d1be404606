"""The architectures as a terminal table, a line as soon as it is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

LINE = "{:<20} {:<9} {:<11} {:>11} {:>8} {:>6} {:>5}"


def print_models(rows: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Print name, form, date, parameters, F in MMAC, F1/F and B/F; fits 80 columns."""
    titles = ("model", "form", "published", "params", "MMAC", "F1/F %", "B/F")
    console.print(LINE.format(*titles), style="bold", highlight=False)
    for row in rows:
        forward = row["forward_macs"]
        console.print(
            LINE.format(
                row["name"],
                row["form"],
                row["published"],
                f"{row['params']:,}",
                f"{forward / 1e6:.1f}",
                f"{100 * row['first_layer_macs'] / forward:.2f}",
                f"{row['backward_macs'] / forward:.3f}",
            ),
            highlight=False,
        )
