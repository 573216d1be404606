"""The common plain style of all terminal tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

ABSENT = "-"


def bare_table(title: str = "") -> Table:
    """An empty table in the common style."""
    return Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )


def plain_table(title: str, first: str, *others: str) -> Table:
    """A table with a first column of text, which may wrap, and columns of numbers."""
    table = bare_table(title)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def print_table(table: Table, console: Console, wide: bool) -> None:
    """Print ``table`` as wide as its cells if ``wide``, else at most as wide as the console."""
    before = console.width
    if wide:
        unlimited = console.options.update(max_width=sys.maxsize)
        console.width = max(before, console.measure(table, options=unlimited).maximum)
    console.print(table)
    console.width = before


def indented(line: str) -> Padding:
    """Print a remark below a table, wrapped at the console's width."""
    return Padding(Text(line), (0, 0, 0, 2))


def print_lines(lines: Iterable[str], console: Console) -> None:
    """Print remarks below a table."""
    for line in lines:
        console.print(indented(line))


def one_decimal(value: float | None) -> str:
    """A number with one decimal, or none from 1000 on; ``-`` for None."""
    if value is None:
        return ABSENT
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def interval(low: float | None, high: float | None) -> str:
    """Text like ``13.2-19.3``; an open end is ``∞``, no interval is ``-``."""
    if low is None and high is None:
        return ABSENT
    return f"{one_decimal(low)}-{'∞' if high is None else one_decimal(high)}"
