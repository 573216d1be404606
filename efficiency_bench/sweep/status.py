"""Status of each run of a sweep, read from the runs' own files without asking a scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from efficiency_bench.errors import STOPPED, UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import UNREADABLE, read_events
from efficiency_bench.ledger.history import Event, effective_events
from efficiency_bench.records import FAULTS, Entry, Segment, paper3x_tfs_days
from efficiency_bench.run import folder as folders
from efficiency_bench.run.progress import left_seconds
from efficiency_bench.stop_rule import metric_of_entry, metric_of_start
from efficiency_bench.sweep import manifest
from efficiency_bench.sweep.manifest import RunNote, Sweep

STATES = ("running", "preempted", "waiting", "arrived", "ended", "failed", "left out")
"""``preempted``: stopped or killed, resumes when started again; ``ended``: completed its schedule
without reaching its target; ``failed``: ended by a fault, or could not start; ``left out``: its
budget pays for too few steps, or a smaller one passed the level."""

FINISHED = ("arrived", "ended", "failed", "left out")


@dataclass(frozen=True, config=ConfigDict(allow_inf_nan=False))
class RunStatus:
    """Status of one run of a sweep; ValueError for impossible values in its files."""

    number: int
    name: str
    state: str
    detail: str = ""
    """Why it failed or how it stopped."""
    epochs: float = 0.0
    total_epochs: float | None = None
    metric: str | None = None
    accuracy: float | None = None
    """At the latest evaluation, a fraction."""
    target: float | None = None
    """A fraction; None: the run is a baseline, is budgeted without a target, or has not started."""
    left_seconds: float | None = None
    """To the end of the schedule at the average speed so far; less if it reaches its target."""
    paper3x_tfs_days: float = 0.0
    run_id: str | None = None
    run_dir: str | None = None
    job: str | None = None
    entry: Entry | None = None

    @property
    def missing(self) -> bool:
        """Whether it has to be started or restarted."""
        return self.entry is None and self.state not in ("running", "left out")

    @property
    def exit_code(self) -> int:
        """As in ``train``: 75 not ended, 2 could not start, 1 ended by a fault, else 0."""
        if self.state not in FINISHED:
            return STOPPED
        if self.state == "left out":
            return 0
        if self.entry is None:
            return 2
        return 1 if self.state == "failed" else 0


def sweep_row(name: str | None) -> dict[str, Any]:
    """The sweep ``name`` (None: the latest) as JSON values, with totals.

    Raises UserError if there is no such sweep.
    """
    sweep = manifest.find(name)
    statuses = [status_of(sweep, number) for number in sweep.numbers]
    lefts = [status.left_seconds for status in statuses if status.left_seconds is not None]
    return {
        "sweep": sweep.name,
        "command": sweep.command,
        "written_utc": sweep.written_utc,
        "states": {state: sum(s.state == state for s in statuses) for state in STATES},
        "paper3x_tfs_days": sum(status.paper3x_tfs_days for status in statuses),
        "left_seconds": sum(lefts),
        "runs": [_row(status) for status in statuses],
    }


def _row(status: RunStatus) -> dict[str, Any]:
    # not the entry: the ledger shows it
    return {f.name: getattr(status, f.name) for f in fields(status) if f.name != "entry"}


def status_of(sweep: Sweep, number: int) -> RunStatus:
    """The status of run ``number``, from its files."""
    name = sweep.runs[number - 1].name
    try:
        note = manifest.read_note(sweep.folder, number)
        config = sweep.runs[number - 1].config
        place = note.run_dir or config["run_dir"]
        folder = None if place is None else Path(place)
        known: dict[str, Any] = {"number": number, "name": name, "run_dir": place, "job": note.job}
        if entry := _entry(folder, Path(config["ledger_dir"]), note):
            return _of_entry(entry, known)
        running = folder is not None and folders.in_use(folder)
        log = None if folder is None else folder / folders.EVENTS
        if log is not None and log.exists():
            return _of_events(read_events(log).events, running, note, known)
    except UserError as error:  # a record that cannot be read must not hide the other runs
        return RunStatus(number, name, "failed", str(error).splitlines()[0])
    except UNREADABLE as error:
        reason = f"its records cannot be read: {type(error).__name__} {error}"
        return RunStatus(number, name, "failed", reason.splitlines()[0])
    if running:
        return RunStatus(**known, state="running")
    if note.problem is not None:
        state = "left out" if note.left_out else "failed"
        return RunStatus(**known, state=state, detail=note.problem.splitlines()[0])
    return RunStatus(**known, state="waiting")


def _entry(folder: Path | None, ledger_dir: Path, note: RunNote) -> Entry | None:
    """The run's entry, from its folder or, if it was trained elsewhere, from the ledger."""
    if folder is not None and (entry := folders.finished_entry(folder, ledger_dir)):
        return entry
    if note.run_id is not None and store.entry_path(ledger_dir, note.run_id).exists():
        return store.find(ledger_dir, note.run_id)
    return None


def _of_entry(entry: Entry, known: Mapping[str, Any]) -> RunStatus:
    fault = entry.end_reason in FAULTS
    metric = metric_of_entry(entry)
    last = entry.evaluations[-1] if entry.evaluations else None
    return RunStatus(
        **known,
        state="failed" if fault else "arrived" if entry.reached else "ended",
        detail=f"{entry.end_reason}: {entry.end_detail}" if fault else "",
        epochs=entry.epochs or 0.0,
        total_epochs=entry.config["recipe"]["epochs"],
        metric=metric,
        accuracy=None if last is None else last.accuracy(metric),
        target=None if entry.target is None or entry.sets_target else entry.target.value,
        paper3x_tfs_days=entry.paper3x_tfs_days or 0.0,
        run_id=entry.run_id,
        entry=entry,
    )


def _of_events(
    events: Sequence[Event], running: bool, note: RunNote, known: Mapping[str, Any]
) -> RunStatus:
    """The status of a run without an entry, from its event log."""
    start = next((event for event in events if event["event"] == "start"), None)
    if start is None:
        return RunStatus(**known, state="running" if running else "preempted")
    kept = effective_events(events)
    evaluations = [event for event in kept if event["event"] == "evaluation"]
    latest = next((e for e in reversed(kept) if "train_seconds" in e and e.get("steps")), None)
    target = start["target"]
    metric = metric_of_start(start)
    return RunStatus(
        **known,
        state="running" if running else "failed" if note.problem else "preempted",
        detail="" if running else (note.problem or _how_it_stopped(events[-1])).splitlines()[0],
        epochs=latest["epochs"] if latest else 0.0,
        total_epochs=start["total_epochs"],
        metric=metric,
        accuracy=evaluations[-1][metric] if evaluations else None,
        target=target["value"] if target else None,
        left_seconds=_left_seconds(start, evaluations, latest),
        paper3x_tfs_days=max(map(_spent_tfs_days, kept)),
        run_id=start["run_id"],
    )


def _spent_tfs_days(event: Event) -> float:
    if event["event"] == "interrupted":
        return paper3x_tfs_days([Segment(**segment) for segment in event["segments"]])
    return float(event["paper3x_tfs_days"]) if event["event"] == "progress" else 0.0


def _how_it_stopped(last: Event) -> str:
    if last["event"] == "interrupted":
        return f"after step {last['steps']}: {last['detail']}"
    return "killed; work since its last checkpoint will be repeated"


def _left_seconds(start: Event, evaluations: Sequence[Event], latest: Event | None) -> float | None:
    """Seconds to the end of the schedule at the average step time so far."""
    if latest is None:
        return None
    spent = latest["train_seconds"] + sum(event["evaluation_seconds"] for event in evaluations)
    return left_seconds(latest["steps"], start["total_steps"], spent)
