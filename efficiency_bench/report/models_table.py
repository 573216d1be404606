"""The architectures as a terminal table, a line a form and size as soon as it is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

LINE = "{:<19} {:<8} {:<10} {:>11} {:>4} {:>8} {:>6} {:>5}"


def print_models(rows: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Print form, date, parameters, and F in MMAC, F1/F and B/F at each side; fits 80 columns.

    Above the forms of a network stands the paper that it was published in.
    """
    titles = ("model", "form", "published", "params", "px", "MMAC", "F1/F %", "B/F")
    console.print(LINE.format(*titles), style="bold", highlight=False)
    paper = None
    for row in rows:
        if row["paper"] != paper:
            paper = row["paper"]
            console.print(Text(paper, style="dim"))
        own = (row["name"], row["form"], row["published"], f"{row['params']:,}")
        _print_line(own, row["resolution_px"], row, console)
        for side, macs in row["resolutions"].items():
            _print_line(("", "", "", ""), side, macs, console)


def _print_line(
    words: tuple[str, ...], side_px: object, macs: Mapping[str, Any], console: Console
) -> None:
    forward = macs["forward_macs"]
    figures = (
        f"{forward / 1e6:.1f}",
        f"{100 * macs['first_layer_macs'] / forward:.2f}",
        f"{macs['backward_macs'] / forward:.3f}",
    )
    console.print(LINE.format(*words, side_px, *figures), highlight=False)
