"""A run's folder: its finished entry, and the lock of the process that works in it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from efficiency_bench.bounds import whole_characters
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.files import open_own, put, read_regular
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
"""How long taking a lock is tried: ``in_use`` holds it for a moment to see whether it is free, and
on a busy machine a moment is long."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; the lock of a process that has died is free at once.

    Raises UserError, naming the holder, where another process has it.
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
            _take(descriptor)
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


def _take(descriptor: int) -> None:
    """Lock the file.  The kernel lets go of it however the process ends: no lock is ever stale."""
    until = time.monotonic() + GLANCE_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(GLANCE_SECONDS / 50)


def in_use(folder: Path) -> bool:
    """Whether a process holds ``folder``, on any host that shares the file system's locks."""
    try:
        descriptor = open_own(folder / LOCK, os.O_RDONLY)
    except OSError:  # no lock was ever taken, or the folder is not ours to read
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def finished_entry(folder: Path, ledger_dir: Path) -> Entry | None:
    """The entry of a run that ended in ``folder``, or None.

    Where a full disk or a kill kept it from being written, it comes from the event log.
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
        raise UserError(f"{path} is no entry that can be read; move the folder away") from error


def logged_entry(folder: Path, ledger_dir: Path) -> Entry:
    """The entry that the event log in ``folder`` gives; UserError as ``entry_from_log``."""
    path = folder / EVENTS
    content = read_regular(path, LARGEST_OWN_LOG_BYTES)
    return entry_from_log(content, whole_characters(os.path.relpath(path, ledger_dir)))


def _has_ended(event_log: Path) -> bool:
    """Whether a log is whole and ends with the end of its run."""
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
    """Refuse a folder that holds another run."""
    same = (entry.config_digest, entry.seed, entry.repeat)
    if same != (config_digest(measured_part(config)), config.seed, config.repeat):
        raise UserError(
            f"{folder} holds the finished run {entry.run_id}, which has another configuration,"
            f" seed or repeat;\nname another run_dir=, or move that folder away"
        )


def write_entry(folder: Path, entry: Entry) -> None:
    """The run's own copy of its entry, put in place in one motion if it is not there yet.

    Raises UserError where the disk does not take it; the event log then still holds the run.
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
