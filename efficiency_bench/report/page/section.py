"""One part of a set's section: its words, tables and lines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from efficiency_bench.report.page.results import NoResult


@dataclass(frozen=True)
class PageRow:
    """One line; ``strong`` where the terminal prints it in bold."""

    cells: tuple[str, ...]
    strong: bool


@dataclass(frozen=True)
class PageTable:
    """A caption, the heads of the columns, and the lines."""

    caption: str
    heads: tuple[str, ...]
    numbers: tuple[bool, ...]
    """Which columns are numbers, set to the right."""
    rows: tuple[PageRow, ...]


def page_table(table: Table) -> PageTable:
    """The cells of ``table``, whose renderables are all text."""
    columns = [list(map(str, column.cells)) for column in table.columns]
    styles = [str(row.style or "") for row in table.rows]
    return PageTable(
        caption=str(table.title or ""),
        heads=tuple(str(column.header) for column in table.columns),
        numbers=tuple(column.justify == "right" for column in table.columns),
        rows=tuple(
            PageRow(cells, style == "bold")
            for cells, style in zip(zip(*columns, strict=True), styles, strict=True)
        ),
    )


@dataclass(frozen=True)
class Figure:
    """One number, large, and what it is."""

    value: str
    label: str


@dataclass(frozen=True)
class Subsection:
    """One part of a set's section."""

    name: str
    """Short and fixed: the part's place in a link, the chart's in a file name."""
    title: str
    reading: str
    """What to read here, and its limit."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    lines: tuple[str, ...] = ()
    command: str | None = None
    """The verb that prints the same numbers."""
    missing: str | None = None
    """Why there is nothing to show."""

    def shown(self, *tables: Table, lines: tuple[str, ...] = (), **further: Any) -> Subsection:
        """This part with its results."""
        return replace(self, tables=tuple(map(page_table, tables)), lines=lines, **further)

    def without(self, missing: NoResult) -> Subsection:
        """This part with the reason why there is nothing to show."""
        return replace(self, missing=missing.reason)
