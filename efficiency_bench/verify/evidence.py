"""What an entry is held against: its event log, its configuration, the rest of the ledger."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.events import EventsRead, parse_events
from efficiency_bench.ledger.history import useful
from efficiency_bench.ledger.store import log_path
from efficiency_bench.records import Entry
from efficiency_bench.verify.neighbours import Beside

LARGEST_LOG_BYTES = 1 << 30
"""A compressed log that grows beyond this is no event log: 90 ImageNet epochs take 6 MB."""


@dataclass(frozen=True)
class LogCopy:
    """One copy of the event log: the ledger's own, or that in the run's folder."""

    name: str
    content: bytes | None
    """None: it is there but cannot be read."""
    problem: str = ""

    @property
    def digest(self) -> str | None:
        """SHA-256 (hex) of the log's bytes."""
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Evidence:
    """One entry and all that speaks for or against it."""

    entry: Entry
    beside: Beside
    """Every entry of the ledger, this one included."""
    logs: tuple[LogCopy, ...]

    @cached_property
    def read(self) -> EventsRead | None:
        """The first copy of the log that can be read."""
        for log in self.logs:
            if log.content is not None:
                try:
                    return parse_events(log.content, log.name)
                except UserError:
                    continue
        return None

    @cached_property
    def useful(self) -> list[Mapping[str, Any]]:
        """The log's events but for those that a resumption took back."""
        return useful(self.read.events) if self.read else []

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """The useful events of one kind, in order."""
        return [event for event in self.useful if event["event"] == kind]

    @cached_property
    def start(self) -> Mapping[str, Any]:
        """The event that says what the run was to do; empty where there is none."""
        return next(iter(self.events("start")), {})

    @cached_property
    def end(self) -> Mapping[str, Any]:
        """The event that says how it ended; empty where there is none."""
        return next(iter(self.events("end")), {})


def gather(ledger_dir: Path, entry: Entry, beside: Beside) -> Evidence:
    """The evidence for ``entry``: the log kept in the ledger, and the run's own if still there."""
    copies = [_kept(log_path(ledger_dir, entry.run_id))]
    if entry.event_log is not None:
        copies.append(_own(ledger_dir / entry.event_log))
    return Evidence(entry, beside, tuple(copy for copy in copies if copy is not None))


def _kept(path: Path) -> LogCopy | None:
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST_LOG_BYTES + 1)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError) as error:
        return LogCopy(str(path), None, f"cannot be read: {error}")
    if len(content) > LARGEST_LOG_BYTES:
        return LogCopy(str(path), None, "unpacks to more than a gigabyte")
    return LogCopy(str(path), content)


def _own(path: Path) -> LogCopy | None:
    """The copy that the entry names; the entry may be anybody's, and name a device without end."""
    try:
        if path.exists() and not path.is_file():
            return LogCopy(str(path), None, "cannot be read: no ordinary file")
        return LogCopy(str(path), path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None  # run folders are cleared; the ledger's own copy is what must be there
    except (OSError, ValueError) as error:
        return LogCopy(str(path), None, f"cannot be read: {error}")
