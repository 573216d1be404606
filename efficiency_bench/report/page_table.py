"""A table of the terminal as plain rows, so that a page shows the very same cells."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table


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
