"""The event log of a run: one JSON object per line, the source of truth for everything else.

The last field of every line, ``chain``, is the SHA-256 of the previous chain and of the line
without this field: changing, removing or moving a line breaks the chain there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from efficiency_bench.bounds import out_of_bounds, whole_characters
from efficiency_bench.errors import UserError
from efficiency_bench.files import open_own, put, read_regular
from efficiency_bench.ledger.history import reached

LARGEST_OWN_LOG_BYTES = 1 << 30
"""Largest log in a run's folder: two years of training write this much."""

DURABLE_KINDS = frozenset({"start", "repair", "resume", "evaluation", "end"})
"""Events that must survive a power cut: fsynced as they are written."""

_KIND = re.compile(r"[a-z][a-z_]*")
_OWN_FIELDS = frozenset({"event", "time_utc", "chain"})
_CHAINED = re.compile(rb'(?P<body>\{.*), "chain": "(?P<link>[0-9a-f]{64})"\}', re.DOTALL)
CHAIN_START = "0" * 64
"""The chain before the first line."""

LONGEST_TORN_BYTES = 10_000
"""Most damaged bytes that a ``repair`` event holds; more are kept in a separate file."""


def reject_constant(name: str) -> NoReturn:
    """Raise ValueError for NaN and infinity, as ``json.loads(parse_constant=...)``."""
    raise ValueError(f"{name} is not JSON")


UNREADABLE = (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError)
"""What reading an edited event may raise: it may lack a field, or hold any type."""


@dataclass(frozen=True)
class EventsRead:
    """The content of a log."""

    events: tuple[Mapping[str, Any], ...]
    torn: str | None
    """What follows the last event: a line cut short by a crash, or NULs after a power cut."""
    broken_at: int | None = None
    """First line (from 1) that breaks the chain; None: the chain is intact."""


class EventLog:
    """The writer of one run's log; only one process writes it at a time.

    Opening a damaged log truncates it to its sound part and records the rest in a ``repair`` event.
    A torn last line is kept in that event, anything more in a file next to the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise _no_log(path, error) from error
        self._link = CHAIN_START
        try:
            self._repair()
        except BaseException:  # close the file, whatever the exception is
            self.close()
            raise

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, kind: str, **fields: Any) -> None:
        """Write one event as one complete line.

        ``kind`` is a lower-case word; ``fields`` are JSON values without NaN (else ValueError).
        Raises UserError if the write fails, and leaves the log as it was.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"event kind {kind!r} is not a lower-case word")
        if clash := _OWN_FIELDS & fields.keys():
            raise ValueError(f"{sorted(clash)} are the log's own fields")
        time_utc = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = {"event": kind, "time_utc": time_utc, **_plain(fields)}
        body = json.dumps(event, allow_nan=False).encode().removesuffix(b"}")
        link = _link(self._link, body)
        line = body + f', "chain": "{link}"}}\n'.encode()
        self._write(line, kind in DURABLE_KINDS)
        self._link = link

    def sync(self) -> tuple[int, str]:
        """Fsync the log, and return its length in bytes and its last chain."""
        os.fsync(self._descriptor)
        return os.fstat(self._descriptor).st_size, self._link

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
            # unbuffered, so that a full disk raises here and not at a later flush
            if os.write(self._descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size_before)
            raise _no_log(self.path, error) from error

    def _repair(self) -> None:
        content = read_regular(self.path, LARGEST_OWN_LOG_BYTES)
        sound = sound_part(content)
        self._link = sound.link
        if sound.damage:
            fields = repair_fields(sound.damage)
            if "kept_as" in fields:
                self._keep(sound.damage, fields["kept_as"])
            os.ftruncate(self._descriptor, sound.length_bytes)
        if sound.length_bytes and content[sound.length_bytes - 1 : sound.length_bytes] != b"\n":
            self._write(b"\n", durable=False)  # cut between the object and its line end
        if sound.damage:
            self.append("repair", **fields)

    def _keep(self, damage: bytes, name: str) -> None:
        try:
            put(self.path.with_name(name), damage)
        except OSError as error:
            raise _no_log(self.path, error) from error


@dataclass(frozen=True)
class SoundPart:
    """A log up to its first damaged line."""

    events: tuple[Mapping[str, Any], ...]
    links: tuple[str, ...]
    """The chain of each line."""
    ends: tuple[int, ...]
    """Length of the log in bytes up to the end of each line."""
    damage: bytes
    """The bytes that follow; empty if the log is intact."""

    @property
    def length_bytes(self) -> int:
        """Length of the sound part in bytes."""
        return self.ends[-1] if self.ends else 0

    @property
    def link(self) -> str:
        """The chain that the next line continues."""
        return self.links[-1] if self.links else CHAIN_START

    def chain_after(self, length_bytes: int) -> str | None:
        """Return the chain of the line that ends at ``length_bytes``; None if none ends there."""
        return dict(zip(self.ends, self.links, strict=True)).get(length_bytes)


def sound_part(content: bytes) -> SoundPart:
    """Return the longest prefix of a log in which every line is an event and continues the chain.

    Lines without a chain, as in old logs, are sound up to the first line with one.
    """
    events: list[Mapping[str, Any]] = []
    links, ends = [CHAIN_START], [0]
    for line in content.split(b"\n"):
        chained = _CHAINED.fullmatch(line)
        if chained:
            continues = chained["link"].decode() == _link(links[-1], chained["body"])
        else:
            continues = links[-1] == CHAIN_START
        event = _parse(line) if continues else None
        if event is None:
            break
        events.append(event)
        links.append(chained["link"].decode() if chained else CHAIN_START)
        ends.append(min(len(content), ends[-1] + len(line) + 1))
    return SoundPart(tuple(events), tuple(links[1:]), tuple(ends[1:]), content[ends[-1] :])


def ends(content: bytes) -> bool:
    """Return whether the last line of a log is an ``end`` event; reads no other line."""
    last = _parse(content.removesuffix(b"\n").rpartition(b"\n")[2])
    return last is not None and last["event"] == "end"


def repair_fields(damage: bytes) -> dict[str, Any]:
    """Return the fields of the ``repair`` event for damaged bytes.

    If the bytes hold events, ``reached`` is how far these had come; a resume counts it as repeated
    work.
    """
    fields: dict[str, Any] = {"torn": damage[:LONGEST_TORN_BYTES].decode(errors="replace")}
    lost = events_in(damage)
    if lost or len(damage) > LONGEST_TORN_BYTES:
        name = hashlib.sha256(damage).hexdigest()[:8]
        fields |= {"bytes": len(damage), "kept_as": f"events.damaged-{name}.jsonl"}
    return fields | ({"reached": reached(lost)} if lost else {})


def events_in(damage: bytes) -> list[dict[str, Any]]:
    """Return the events in damaged bytes: empty after a torn line or a power cut."""
    return [event for line in damage.split(b"\n") if (event := _parse(line)) is not None]


def read_sound_part(path: Path) -> SoundPart:
    """Return ``sound_part`` of the log at ``path``; UserError if it cannot be read."""
    return sound_part(_content(path))


def read_events(path: Path) -> EventsRead:
    """Read all events of a log, in order; what follows the last one is returned as ``torn``.

    Raises UserError if there is no log, and names the line if a malformed one precedes an event.
    """
    return parse_events(_content(path), str(path))


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST_OWN_LOG_BYTES)
    except OSError as error:
        raise UserError(
            f"no event log to read at {path}: {error.strerror}; name the folder of a run"
        ) from error


def parse_events(content: bytes, name: str) -> EventsRead:
    """Like ``read_events``, for the bytes of a log; ``name`` is for messages."""
    lines = content.split(b"\n")
    events = [_parse(line) for line in lines]
    whole = max((n for n, event in enumerate(events, start=1) if event is not None), default=0)
    for number, event in enumerate(events[:whole], start=1):
        if event is None:
            raise UserError(
                f"{name}, line {number}: not an event; the log was changed by hand?\n"
                "restore it from a copy, or train again in another folder: run_dir=DIR"
            )
    torn = b"\n".join(lines[whole:]).decode("utf-8", errors="replace") or None
    read = tuple(event for event in events[:whole] if event is not None)
    return EventsRead(read, torn, _first_broken(lines[:whole]))


def without_own_fields(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event without those that the log adds."""
    return {name: value for name, value in event.items() if name not in _OWN_FIELDS}


def _first_broken(lines: Sequence[bytes]) -> int | None:
    link = CHAIN_START
    for number, line in enumerate(lines, start=1):
        chained = _CHAINED.fullmatch(line)
        if chained is None or chained["link"].decode() != _link(link, chained["body"]):
            return number
        link = chained["link"].decode()
    return None


def _link(before: str, body: bytes) -> str:
    return hashlib.sha256(before.encode() + body).hexdigest()


def digest(path: Path) -> str:
    """Return the SHA-256 (hex) of a log's bytes."""
    return hashlib.sha256(read_regular(path, LARGEST_OWN_LOG_BYTES)).hexdigest()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line.decode("utf-8"), parse_constant=reject_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    return None if out_of_bounds(event, longest_text=len(line)) else event


def _plain(value: Any) -> Any:
    """Return JSON values with lone surrogates in strings escaped."""
    if isinstance(value, str):
        return value if value.isascii() else whole_characters(value)
    if isinstance(value, Mapping):
        return {_plain(name): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _no_log(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write the event log {path}: {error.strerror or error}\n"
        "free some space or name another folder with run_dir=DIR; the same command resumes the run"
    )


ALL_UNTIL = 10_000
"""Number of progress events that are always written, so that a short run's log is complete and does
not depend on the clock.  They take 4 MB."""

AT_MOST_EVERY_SECONDS = 30.0
"""Interval of progress events after that: 35 MB per month.  It is also the most work that a crash
can hide."""


class ThrottledProgress:
    """Appends to an event log with fewer progress events.

    The last progress event before any other event is always written, right before it.
    """

    def __init__(
        self, log: EventLog, written: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``written`` progress events are already in the log; ``clock`` is monotonic, in s."""
        self._log = log
        self._clock = clock
        self._written = written
        self._written_at = 0.0
        self._held: dict[str, Any] | None = None

    def append(self, kind: str, **fields: Any) -> None:
        """Write one event, or hold it back; see EventLog.append."""
        if kind == "progress":
            self._held = fields
            due = self._clock() - self._written_at >= AT_MOST_EVERY_SECONDS
            if self._written < ALL_UNTIL or due:
                self._write_held()
            return
        self._write_held()
        self._log.append(kind, **fields)

    def _write_held(self) -> None:
        if self._held is None:
            return
        fields, self._held = self._held, None
        self._log.append("progress", **fields)
        self._written += 1
        self._written_at = self._clock()
