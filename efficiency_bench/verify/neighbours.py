"""Find entries of a ledger that share something with one entry, in constant time.

Comparing all pairs of a hundred thousand entries would take hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

from efficiency_bench.identity import row_key
from efficiency_bench.records import Entry

Mark = tuple[str, object]
"""Something that no two measured runs may share: a field name, or ``sample``, and its value."""


class LedgerIndex:
    """All entries of a ledger, including the one being verified."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)

    @cached_property
    def by_run_id(self) -> dict[str, Entry]:
        """Run id -> entry."""
        return {entry.run_id: entry for entry in self.entries}

    def sharing(self, entry: Entry) -> Iterator[tuple[str, Entry]]:
        """Yield the name of each mark that another measured run shares, and that run."""
        for mark in marks(entry):
            for other in self._by_mark.get(mark, ()):
                if other.run_id != entry.run_id:
                    yield mark[0], other

    @cached_property
    def _by_mark(self) -> dict[Mark, list[Entry]]:
        found: dict[Mark, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if entry.tier == "measured":
                for mark in marks(entry):
                    found[mark].append(entry)
        return found


def marks(entry: Entry) -> Iterator[Mark]:
    """Yield the marks of ``entry``: its replicate of a row, its weights and its event log."""
    yield "sample", (row_key(entry), entry.seed, entry.repeat)
    for name in ("weights_digest", "event_log_digest"):
        if (value := getattr(entry, name)) is not None:
            yield name, value
