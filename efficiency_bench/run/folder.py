"""A run's folder: its finished entry, and the lock of the process that uses it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efficiency_bench.bounds import whole_characters
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.files import is_locked, lock, open_own, put, read_regular
from efficiency_bench.identity import config_digest
from efficiency_bench.ledger.entry import entry_from_log
from efficiency_bench.ledger.events import LARGEST_OWN_LOG_BYTES, ends, sound_part
from efficiency_bench.ledger.store import LARGEST_ENTRY_BYTES
from efficiency_bench.records import Entry

EVENTS = "events.jsonl"
ENTRY = "entry.json"
LOCK = "lock"
RUNS = Path("runs")

GLANCE_SECONDS = 1.0
"""How long to retry taking the lock: ``in_use`` holds it briefly to test whether it is free, which
can take longer on a busy machine."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``; the lock of a process that died is released at once.

    Raises UserError naming the holder if another process has the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = open_own(folder / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise UserError(
            f"cannot work in {folder}: {error.strerror or error}; make it writable or name"
            " another run_dir="
        ) from error
    try:
        try:
            lock(descriptor, GLANCE_SECONDS)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
            raise UserError(
                f"{folder} is in use by another run: {holder or 'unknown process'}\n"
                "wait for it, end it, or name another run_dir="
            ) from error
        os.ftruncate(descriptor, 0)
        whose = {"process": os.getpid(), "host": socket.gethostname()}
        os.pwrite(descriptor, json.dumps(whose).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def in_use(folder: Path) -> bool:
    """Whether a process holds the lock of ``folder``, on any host that shares the file system."""
    try:
        descriptor = open_own(folder / LOCK, os.O_RDONLY)
    except OSError:  # no lock was ever taken, or this user may not read the folder
        return False
    try:
        return is_locked(descriptor)
    finally:
        os.close(descriptor)


def finished_entry(folder: Path, ledger_dir: Path) -> Entry | None:
    """The entry of a run that ended in ``folder``, or None.

    If a full disk or a kill prevented writing it, it is rebuilt from the event log.
    """
    path = folder / ENTRY
    try:
        return Entry.model_validate_json(read_regular(path, LARGEST_ENTRY_BYTES))
    except FileNotFoundError:
        return logged_entry(folder, ledger_dir) if _has_ended(folder / EVENTS) else None
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; move it away, or name another run_dir="
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is not a valid entry; move the folder away") from error


def logged_entry(folder: Path, ledger_dir: Path) -> Entry:
    """The entry rebuilt from the event log in ``folder``; UserError as ``entry_from_log``."""
    path = folder / EVENTS
    content = read_regular(path, LARGEST_OWN_LOG_BYTES)
    return entry_from_log(content, whole_characters(os.path.relpath(path, ledger_dir)))


def _has_ended(event_log: Path) -> bool:
    """Whether a log is undamaged and its last event is the end of the run."""
    try:
        content = read_regular(event_log, LARGEST_OWN_LOG_BYTES)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(
            f"cannot read {event_log}: {error.strerror or error}; move it away, or name another"
            " run_dir="
        ) from error
    return ends(content) and not sound_part(content).damage


def check_same(entry: Entry, config: RunConfig, folder: Path) -> None:
    """Raise UserError if the finished run in ``folder`` is not the run of ``config``."""
    same = (entry.config_digest, entry.seed, entry.repeat)
    if same != (config_digest(measured_part(config)), config.seed, config.repeat):
        raise UserError(
            f"{folder} holds the finished run {entry.run_id}, which has another configuration,"
            f" seed or repeat;\nname another run_dir=, or move that folder away"
        )


def write_entry(folder: Path, entry: Entry) -> None:
    """Write the run's own copy of its entry atomically, unless it exists already.

    Raises UserError if the disk refuses the write; the event log then still holds the run.
    """
    if (folder / ENTRY).exists():
        return
    try:
        put(folder / ENTRY, f"{entry.model_dump_json(indent=2)}\n".encode())
    except OSError as error:
        raise UserError(
            f"cannot write {folder / ENTRY}: {error.strerror or error}; free some space or make"
            " the folder writable, then type the same command again"
        ) from error
