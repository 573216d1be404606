"""The plain look that the terminal's tables share."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

ABSENT = "-"


def bare_table(title: str = "") -> Table:
    """A table without columns yet."""
    return Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )


def plain_table(title: str, first: str, *others: str) -> Table:
    """A table whose first column is words, folded where long, and whose others are numbers."""
    table = bare_table(title)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def indented(line: str) -> Padding:
    """A remark under a table, wrapped at the console's width."""
    return Padding(Text(line), (0, 0, 0, 2))


def print_lines(lines: Iterable[str], console: Console) -> None:
    """Remarks under a table."""
    for line in lines:
        console.print(indented(line))


def one_decimal(value: float | None) -> str:
    """A number with one decimal, none from 1000 on; ``-`` where there is no number."""
    if value is None:
        return ABSENT
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def interval(low: float | None, high: float | None) -> str:
    """``13.2-19.3``; an end at no change is ``∞``, no interval at all ``-``."""
    if low is None and high is None:
        return ABSENT
    return f"{one_decimal(low)}-{'∞' if high is None else one_decimal(high)}"
