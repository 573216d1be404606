"""The evidence that an entry is checked against: event log, configuration, rest of the ledger."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.files import read_regular
from efficiency_bench.identity import row_key
from efficiency_bench.ledger.events import EventsRead, parse_events
from efficiency_bench.ledger.history import effective_events
from efficiency_bench.ledger.kept_log import LARGEST_LOG_BYTES, check_size, read_kept_log
from efficiency_bench.ledger.store import log_path
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


OWN_LOG = "events.jsonl"
"""File name of the log in a run's folder; a path in an entry to any other file is not opened."""


@dataclass(frozen=True)
class LogCopy:
    """One copy of the event log: the ledger's, or the one in the run's folder."""

    name: str
    content: bytes | None
    """None: it exists but cannot be read."""
    problem: str = ""

    @property
    def digest(self) -> str | None:
        """SHA-256 (hex) of the log's bytes."""
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Evidence:
    """One entry and everything that it can be checked against."""

    entry: Entry
    ledger: LedgerIndex
    """All entries of the ledger, including this one."""
    logs: tuple[LogCopy, ...]

    @cached_property
    def read(self) -> EventsRead | None:
        """The first readable copy of the log, or None."""
        for log in self.logs:
            if log.content is not None:
                try:
                    return parse_events(log.content, log.name)
                except UserError:
                    continue
        return None

    @cached_property
    def effective_events(self) -> list[Mapping[str, Any]]:
        """The log's events without those that a later resume rolled back."""
        return effective_events(self.read.events) if self.read else []

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the useful events of one kind, in order."""
        return [event for event in self.effective_events if event["event"] == kind]

    @cached_property
    def start(self) -> Mapping[str, Any]:
        """The ``start`` event, which describes the run; empty if there is none."""
        return next(iter(self.events("start")), {})

    @cached_property
    def end(self) -> Mapping[str, Any]:
        """The ``end`` event, which says how the run ended; empty if there is none."""
        return next(iter(self.events("end")), {})


def gather(ledger_dir: Path, entry: Entry, ledger: LedgerIndex) -> Evidence:
    """Collect the evidence for ``entry``: the ledger's log and, if it still exists, the run's."""
    copies = [_kept(log_path(ledger_dir, entry.run_id))]
    if entry.event_log is not None:
        copies.append(_own(ledger_dir, entry.event_log))
    return Evidence(entry, ledger, tuple(copy for copy in copies if copy is not None))


def _kept(path: Path) -> LogCopy | None:
    try:
        return LogCopy(str(path), read_kept_log(path))
    except FileNotFoundError:
        return None
    except UserError as error:
        return LogCopy(str(path), None, str(error))


def _own(ledger_dir: Path, place: str) -> LogCopy | None:
    """Read the copy that the entry names; an untrusted entry may name an endless device."""
    path = ledger_dir / place
    if path.name != OWN_LOG or Path(place).is_absolute():
        return LogCopy(place, None, f"not opened: a log is a relative path to a file {OWN_LOG}")
    try:
        content = read_regular(path, LARGEST_LOG_BYTES)
        check_size(content)
    except (FileNotFoundError, NotADirectoryError):
        return None  # run folders may be deleted; only the ledger's copy is required
    except OSError as error:
        return LogCopy(str(path), None, f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a name with a NUL byte
        return LogCopy(str(path), None, f"cannot be read: {error}")
    except UserError as error:
        return LogCopy(str(path), None, str(error))
    return LogCopy(str(path), content)
