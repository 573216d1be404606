"""One part of a set's section: its words, tables and lines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from efficiency_bench.report.page_sets import Missing
from efficiency_bench.report.page_table import PageTable, page_table


@dataclass(frozen=True)
class Figure:
    """One number, large, and what it is."""

    value: str
    label: str


@dataclass(frozen=True)
class Part:
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

    def shown(self, *tables: Table, lines: tuple[str, ...] = (), **further: Any) -> Part:
        """This part with its results."""
        return replace(self, tables=tuple(map(page_table, tables)), lines=lines, **further)

    def without(self, missing: Missing) -> Part:
        """This part with the reason why there is nothing to show."""
        return replace(self, missing=missing.reason)
