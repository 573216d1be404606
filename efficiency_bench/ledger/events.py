"""The event log of a run: one JSON object a line, the truth that everything else mirrors."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from efficiency_bench.errors import UserError

DURABLE_KINDS = frozenset({"start", "evaluation", "end"})
"""Events that must survive a power cut: forced to the disk as they are written."""

_KIND = re.compile(r"[a-z][a-z_]*")
_OWN_FIELDS = frozenset({"event", "time_utc"})


def reject_constant(name: str) -> NoReturn:
    """For ``json.loads(parse_constant=...)``: NaN and infinity are not JSON."""
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True)
class EventsRead:
    """What a log holds."""

    events: tuple[Mapping[str, Any], ...]
    torn: str | None
    """A last line that was cut while being written, as far as it got."""


class EventLog:
    """The writing end of one run's log; one process at a time writes it.

    Opening a log whose last line was cut removes the remnant from its place and keeps it in
    an event of kind ``repair``, so that the next line does not join it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise _no_log(path, error) from error
        try:
            self._repair()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, kind: str, **fields: Any) -> None:
        """Write one event as a whole line.

        ``kind`` is a lower-case word; ``fields`` are JSON values, NaN excluded (ValueError).
        Raises UserError when the disk does not take it; the log is then as it was before.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"event kind {kind!r} is not a lower-case word")
        if clash := _OWN_FIELDS & fields.keys():
            raise ValueError(f"{sorted(clash)} are the log's own fields")
        time_utc = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = {"event": kind, "time_utc": time_utc, **fields}
        self._write(json.dumps(event, allow_nan=False).encode() + b"\n", kind in DURABLE_KINDS)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: bytes, durable: bool) -> None:
        if self._descriptor < 0:
            raise ValueError(f"{self.path} is closed")
        size_before = os.fstat(self._descriptor).st_size
        try:
            # unbuffered, so that a full disk shows here and not at some later flush
            if os.write(self._descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size_before)
            raise _no_log(self.path, error) from error

    def _repair(self) -> None:
        content = self.path.read_bytes()
        whole, newline, tail = content.rpartition(b"\n")
        if not tail:
            return
        if _parse(tail) is not None:
            self._write(b"\n", durable=False)  # cut between the object and its line end
            return
        os.ftruncate(self._descriptor, len(whole) + len(newline))
        self.append("repair", torn=tail.decode("utf-8", errors="replace"))


def read_events(path: Path) -> EventsRead:
    """Every event of a log, in order; a torn last line is reported, not raised.

    Raises UserError where there is no log, and for any other malformed line, by number.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"no event log to read at {path}: {error.strerror}") from error
    *lines, tail = content.split(b"\n")
    if tail and _parse(tail) is not None:
        lines, tail = [*lines, tail], b""
    events = []
    for number, line in enumerate(lines, start=1):
        event = _parse(line)
        if event is None:
            raise UserError(f"{path}, line {number}: not an event; the log was changed by hand?")
        events.append(event)
    return EventsRead(tuple(events), tail.decode("utf-8", errors="replace") or None)


def digest(path: Path) -> str:
    """SHA-256 (hex) of a log's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line.decode("utf-8"), parse_constant=reject_constant)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _no_log(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write the event log {path}: {error.strerror or error}\n"
        "free some space or name another folder with run_dir=DIR; the same command resumes the run"
    )
