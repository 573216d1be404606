"""A run's folder: its name, what an earlier attempt left there, and its finished entry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.identity import config_digest
from efficiency_bench.ledger.events import read_events
from efficiency_bench.records import Entry

EVENTS = "events.jsonl"
ENTRY = "entry.json"
RUNS = Path("runs")


def finished_entry(folder: Path) -> Entry | None:
    """The entry of a run that ended in ``folder``, or None."""
    path = folder / ENTRY
    try:
        return Entry.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path} is no entry that can be read; move the folder away") from error


def check_same(entry: Entry, config: RunConfig, folder: Path) -> None:
    """Refuse a folder that holds another run."""
    same = (entry.config_digest, entry.seed, entry.repeat)
    if same != (config_digest(measured_part(config)), config.seed, config.repeat):
        raise UserError(
            f"{folder} holds the finished run {entry.run_id}, which has another configuration,"
            f" seed or repeat;\nname another run_dir=, or move that folder away"
        )


@dataclass(frozen=True)
class Earlier:
    """Work of earlier attempts that this one does again."""

    attempts: int
    images: int
    seconds: float


def set_aside(folder: Path) -> Earlier:
    """Keep an unfinished attempt's event log under another name, and sum its work."""
    unfinished = folder / EVENTS
    if unfinished.exists():
        number = 1 + len(list(folder.glob("events-unfinished-*.jsonl")))
        unfinished.rename(folder / f"events-unfinished-{number}.jsonl")
    logs = sorted(folder.glob("events-unfinished-*.jsonl"))
    last = [_furthest(read_events(path).events) for path in logs]
    return Earlier(
        attempts=len(logs),
        images=sum(int(event.get("images", 0)) for event in last),
        seconds=sum(float(event.get("train_seconds", 0.0)) for event in last),
    )


def _furthest(events: tuple[Any, ...]) -> dict[str, Any]:
    """The last event that says how many images had been processed."""
    return next((dict(event) for event in reversed(events) if "images" in event), {})


def write_entry(folder: Path, entry: Entry) -> None:
    """The run's own copy of its entry, put in place in one motion.

    Raises UserError where the disk does not take it; the event log then still holds the run.
    """
    aside = folder / f".{ENTRY}.{os.getpid()}"
    try:
        aside.write_text(entry.model_dump_json(indent=2) + "\n")
        aside.replace(folder / ENTRY)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {folder / ENTRY}: {error.strerror or error}; free some space or make"
            " the folder writable"
        ) from error
