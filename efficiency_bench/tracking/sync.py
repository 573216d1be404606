"""Uploads runs to W&B later, from their event logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from efficiency_bench.errors import UserError
from efficiency_bench.files import read_regular
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import UNREADABLE, read_events
from efficiency_bench.ledger.history import Event, effective_events
from efficiency_bench.records import Entry
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror
from efficiency_bench.verify.evidence import LedgerIndex, gather

UPLOAD_TIMEOUT_SECONDS = 300.0
"""For one run over a slow connection: no measurement waits for it here."""

WITH_A_KEY = "set WANDB_API_KEY or run `wandb login`, then run the same command again"


@dataclass(frozen=True)
class LoggedRun:
    """A run as read from its event log."""

    run_id: str
    folder: Path
    """Folder for wandb's own files."""
    events: Sequence[Event]
    entry: Entry | None
    """None: the run has not ended."""


def of_folder(folder: Path) -> LoggedRun:
    """The run in ``folder``, finished or not.  UserError if there is none."""
    events: Sequence[Event] = read_events(folder / "events.jsonl").events
    start = next((event for event in events if event["event"] == "start"), None)
    if start is None:
        raise UserError(
            f"the run in {folder} never started: its event log has no start; leave it out"
        )
    path = folder / "entry.json"
    try:
        run_id, events = str(start["run_id"]), effective_events(events)
    except UNREADABLE as error:
        raise UserError(
            f"the event log of {folder} is incomplete: {error!r}; leave this folder out"
        ) from error
    store.entry_path(folder, run_id)  # checks the id: wandb names its own folder by it
    try:
        entry = Entry.model_validate_json(read_regular(path, store.LARGEST_ENTRY_BYTES))
    except FileNotFoundError:
        entry = None
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} is not a valid entry; move it away") from error
    return LoggedRun(run_id, folder, events, entry)


def of_ledger(ledger_dir: Path) -> tuple[list[LoggedRun], list[str]]:
    """The runs of a ledger that have an event log, and which were left out and why.

    Raises UserError if there is no ledger.
    """
    ledger = store.read(ledger_dir)
    left_out = [str(problem) for problem in ledger.problems]
    found = []
    index = LedgerIndex(ledger.entries)
    for entry in ledger.entries:
        evidence = gather(ledger_dir, entry, index)
        try:
            events = evidence.effective_events if evidence.start else []
        except UNREADABLE as error:
            left_out.append(f"{entry.run_id}: its event log is incomplete: {error!r}")
            continue
        if events:
            found.append(LoggedRun(entry.run_id, ledger_dir, events, entry))
        else:
            left_out.append(f"{entry.run_id}: no event log")
    return found, left_out


def sync(
    runs: Sequence[LoggedRun], project: str, group: str | None, session: Session
) -> Iterator[dict[str, Any]]:
    """Upload each run under its own id, without what W&B has already.

    ``group`` None: the run's suite.  Yields JSON values per run: ``run_id``, ``mode`` (online or
    offline) and ``failure``.
    """
    for run in runs:
        where = group or run.events[0].get("suite")
        mirror = WandbMirror(
            project, where, run.folder, session, WITH_A_KEY, UPLOAD_TIMEOUT_SECONDS
        )
        for event in run.events:
            # all events are sent, so a resume has no gap to fill
            if event["event"] != "resume":
                mirror(event)
        if run.entry is not None:
            mirror({"event": "entry", "entry": run.entry})
        mirror.close()
        yield {"run_id": run.run_id, "mode": session.mode, "failure": mirror.failure}
