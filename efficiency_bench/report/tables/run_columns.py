"""The first columns of a table of runs: a short id and a name, or whole run ids."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from efficiency_bench.ledger.short_ids import short_ids
from efficiency_bench.records import Entry
from efficiency_bench.report.tables.layout import bare_table


class RunColumns:
    """Names the runs of a table so that every verb takes what it shows.

    A short id is never broken over two lines; the name beside it may be.
    """

    def __init__(self, entries: Sequence[Entry], wide: bool) -> None:
        self.wide = wide
        ids = [entry.run_id for entry in entries]
        self.short = {} if wide else short_ids(ids)
        self.names = run_names(entries)

    def table(self, title: str, *numbers: str, words: Sequence[str] = ()) -> Table:
        """Return an empty table with columns of words and numbers after those that name a run."""
        table = bare_table(title)
        if self.wide:
            table.add_column("run id", no_wrap=True)
        else:
            table.add_column("id", no_wrap=True)
            table.add_column("run", overflow="fold")
        for name in words:
            table.add_column(name, no_wrap=True)
        for name in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        return table

    def cells(self, run_id: str) -> tuple[str, ...]:
        """Return the cells that name the run."""
        return (run_id,) if self.wide else (self.short[run_id], self.names[run_id])

    def cells_of_several(self, name: str) -> tuple[str, ...]:
        """Return the cells of a line that stands for several runs."""
        return (name,) if self.wide else ("", name)


def run_names(entries: Sequence[Entry]) -> dict[str, str]:
    """Return run id -> the name beside a short id, with the data if there are several sets."""
    several = len({entry.data for entry in entries}) > 1
    return {e.run_id: f"{_name(e)}{f' {e.data}' * several}" for e in entries}


def _name(entry: Entry) -> str:
    return entry.experiment or f"{entry.model} {entry.recipe}"
