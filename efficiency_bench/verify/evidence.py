"""What an entry is held against: its event log, its configuration, the rest of the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.files import read_regular
from efficiency_bench.ledger.events import EventsRead, parse_events
from efficiency_bench.ledger.history import useful
from efficiency_bench.ledger.kept_log import LARGEST_LOG_BYTES, check_size, read_kept_log
from efficiency_bench.ledger.store import log_path
from efficiency_bench.records import Entry
from efficiency_bench.verify.neighbours import LedgerIndex

OWN_LOG = "events.jsonl"
"""The name of the log in a run's folder: an entry that names another file is not followed."""


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
    beside: LedgerIndex
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


def gather(ledger_dir: Path, entry: Entry, beside: LedgerIndex) -> Evidence:
    """The evidence for ``entry``: the log kept in the ledger, and the run's own if still there."""
    copies = [_kept(log_path(ledger_dir, entry.run_id))]
    if entry.event_log is not None:
        copies.append(_own(ledger_dir, entry.event_log))
    return Evidence(entry, beside, tuple(copy for copy in copies if copy is not None))


def _kept(path: Path) -> LogCopy | None:
    try:
        return LogCopy(str(path), read_kept_log(path))
    except FileNotFoundError:
        return None
    except UserError as error:
        return LogCopy(str(path), None, str(error))


def _own(ledger_dir: Path, place: str) -> LogCopy | None:
    """The copy that the entry names; the entry may be anybody's, and name a device without end."""
    path = ledger_dir / place
    if path.name != OWN_LOG or Path(place).is_absolute():
        return LogCopy(place, None, f"not followed: a log is named {OWN_LOG}, relative to here")
    try:
        content = read_regular(path, LARGEST_LOG_BYTES)
        check_size(content)
    except (FileNotFoundError, NotADirectoryError):
        return None  # run folders are cleared; the ledger's own copy is what must be there
    except OSError as error:
        return LogCopy(str(path), None, f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a name with a zero byte
        return LogCopy(str(path), None, f"cannot be read: {error}")
    except UserError as error:
        return LogCopy(str(path), None, str(error))
    return LogCopy(str(path), content)
