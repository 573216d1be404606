"""The process that mirrors one run to W&B: it reads the run's events as JSON lines from stdin.

wandb is imported here and nowhere else.  It runs in a separate process because it may hang, raise,
or block the interpreter's exit while a server does not respond; none of that can affect the run.
This process also outlives a run that is killed, and still uploads what it has received.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO

from efficiency_bench.identity import setting
from efficiency_bench.ledger.events import read_events
from efficiency_bench.ledger.history import Event, effective_events

CURVES = ("top1", "top5", "validation_loss", "train_loss")

AXES = ("paper3x_tfs_days", "images", "epochs", "train_seconds")
"""The first is the default x axis of the curves."""

COLUMNS = (
    *("model", "recipe", "budget_asked", "seed", "target_metric", "target_value", "reached"),
    *("paper3x_to_target_tfs_days", "paper3x_tfs_days", "epochs", "top1", "end_reason"),
)
"""Columns of the run table, in this order; all are keys of the summary."""

NICENESS = 10
"""Training has priority over this process and wandb's own."""

INIT_TIMEOUT_SECONDS = 8
"""wandb's default is 90 s.  It must leave time to open the run offline before the end of the run
stops waiting (``wandb_mirror.CLOSE_TIMEOUT_SECONDS``)."""

FLUSH_SECONDS = 2.0
"""How often wandb writes its file; with its default of 15 s a power cut loses 15 s."""

EXIT_SECONDS = 4.0
"""Part of the time to finish that is reserved for closing the file and exiting."""

FACTS = ("target", "counts", "classes", "train_images", "total_steps", "data_digest", "provenance")
"""Fields added to the run's configuration in W&B."""

IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""Ignored here: the run handles them, and this process exits after its last event."""

EXIT_CODES = {"target": 0, "schedule": 0, "diverged": 1, "failed": 1}
UNNAMED = "efficiency-bench"  # otherwise wandb sends the host name and the program path
TAG_LENGTH = 64  # wandb refuses longer ones
TITLE_LENGTH = 63
"""Of an alert: "must be less than 64 characters long" (wandb 0.31, Run.alert)."""


@dataclass(frozen=True)
class MirrorSettings:
    """Settings from the training process, sent as the first line."""

    project: str
    group: str | None
    folder: str
    mode: Literal["online", "offline", "shared", "disabled"]
    wait_seconds: float
    """How long this process may run after its last event."""
    watched_process: int
    """Process id whose CPU and memory use W&B records."""
    alerts: bool
    """Whether W&B notifies its users when the run arrives, fails or is preempted."""


class RunMirror:
    """One run in W&B, built up event by event."""

    def __init__(self, settings: MirrorSettings, replies: TextIO) -> None:
        self.settings = settings
        self.replies = replies
        self.run: Any = None
        self.name = ""
        self.row: dict[str, Any] = {}
        self.first_step = 0
        self.exit_code = 1  # killed, unless an event says otherwise

    def take_all(self, events: queue.SimpleQueue[Event | None]) -> None:
        """Process events until None."""
        while (event := events.get()) is not None:
            self.take(event)

    def take(self, event: Event) -> None:
        """Process one event."""
        match event["event"]:
            case "start":
                self.run = self._open(event)
            case "resume":
                self._fill(event["steps"])
            case "progress" | "evaluation":
                self._add(event)
            case "interrupted":
                self._log_row()
                self._alert("preempted", "WARN", "the same command resumes it")
                self.run.mark_preempting()
                self.exit_code = 75
            case "entry":
                self._log_row()
                self._close_with(event["entry"])
                self.exit_code = EXIT_CODES[event["entry"]["end_reason"]]

    def finish(self) -> None:
        """Finish the upload; TimeoutError if the server is too slow.

        A row that was incomplete when the run was killed is dropped: the resumed run repeats that
        step, and W&B accepts each step only once.
        """
        if self.run is not None:
            self.run.finish(exit_code=self.exit_code)

    def reply(self, **fields: Any) -> None:
        """Send one line to the training process."""
        print(json.dumps(fields), file=self.replies, flush=True)

    def _open(self, start: Event) -> Any:
        """Open the run and reply; the training process waits for the reply before it sends more."""
        import wandb

        self.name = run_name(start)
        experiment, budget = _experiment(start), setting(start["config"], "budget")
        tags = dict.fromkeys((experiment, start["model"], start["recipe"], start["data"]))
        if budget is not None:
            tags[f"budget {budget:g}"] = None
        settings = wandb.Settings(
            init_timeout=INIT_TIMEOUT_SECONDS,
            finish_timeout=max(1.0, self.settings.wait_seconds - EXIT_SECONDS),
            finish_timeout_raises=True,
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            host=UNNAMED,
            program=UNNAMED,
            x_disable_meta=True,  # paths, arguments, user
            x_stats_pid=self.settings.watched_process,
            x_transaction_log_flush_interval=FLUSH_SECONDS,
        )
        run = wandb.init(
            project=self.settings.project,
            group=self.settings.group,
            job_type="train",
            name=self.name,
            id=start["run_id"],
            resume="allow",
            tags=[tag[:TAG_LENGTH] for tag in tags],
            config={**start["config"], **{name: start[name] for name in FACTS}},
            dir=self.settings.folder,
            mode=self.settings.mode,
            settings=settings,
        )
        self.first_step = run.starting_step  # after the last step that earlier attempts uploaded
        for curve in CURVES:
            run.define_metric(curve, step_metric=AXES[0])
        run.summary.update(summary_at_start(start))
        self.reply(opened=True)
        return run

    def _fill(self, steps: int) -> None:
        """Add what an earlier attempt did up to ``steps`` but could not upload.

        Offline, the file of that attempt already holds it.
        """
        if self.run.offline:
            return
        for event in effective_events(
            read_events(Path(self.settings.folder) / "events.jsonl").events
        ):
            if event["event"] in ("progress", "evaluation") and event["steps"] <= steps:
                self._add(event)

    def _add(self, event: Event) -> None:
        """Merge a progress event and the evaluation after it into one row per step.

        A progress event waits for the next event, because W&B accepts each step only once.
        """
        if event["steps"] != self.row.get("steps"):
            self._log_row()
        if event["event"] == "progress":
            values = {axis: event[axis] for axis in AXES} | {"train_loss": event["loss"]}
        else:
            own = ("images", "epochs", "train_seconds", "top1", "top5")
            values = {name: event[name] for name in own} | {"validation_loss": event["loss"]}
        self.row |= {"steps": event["steps"], **values}
        if event["event"] == "evaluation":
            self._log_row()

    def _log_row(self) -> None:
        row, self.row = self.row, {}
        if row and row["steps"] >= self.first_step:
            self.run.log({k: v for k, v in row.items() if v is not None}, step=row["steps"])

    def _close_with(self, entry: Event) -> None:
        """Put the crossing and the compute into the summary, and save the entry as an artifact."""
        import wandb

        plain = {k: v for k, v in entry.items() if isinstance(v, str | int | float | bool)}
        self.run.summary.update(plain | _target(entry))
        if entry["reached"]:
            self._alert("arrived", "INFO", arrival(entry))
        elif EXIT_CODES[entry["end_reason"]]:
            self._alert(entry["end_reason"], "ERROR", entry["end_detail"] or "see its event log")
        artifact = wandb.Artifact(f"entry-{entry['run_id']}", type="ledger-entry")
        with artifact.new_file("entry.json", encoding="utf-8") as file:
            json.dump(entry, file, indent=2)
        self.run.log_artifact(artifact)

    def _alert(self, word: str, level: str, text: str) -> None:
        if self.settings.alerts:
            self.run.alert(f"{word}: {self.name}"[:TITLE_LENGTH], text, level)


def run_name(start: Event) -> str:
    """Return the run's name, which has every choice that a suite varies."""
    chosen = partial(setting, start["config"])
    words = [_experiment(start)]
    if (scale := chosen("model.scale", 1.0)) != 1.0:
        words.append(f"scale {scale:g}")
    if (budget := chosen("budget")) is not None:
        words.append(f"budget {budget:g}")
    if chosen("data.inner_split"):  # a trial of the search for a learning rate
        words.append(f"lr {chosen('recipe.optimizer.lr'):g}")
    words.append(f"seed {start['seed']}")
    if start["repeat"]:
        words.append(f"repeat {start['repeat']}")
    return " ".join(words)


def summary_at_start(start: Event) -> dict[str, Any]:
    """Return the columns that are known before the run has trained."""
    known = {name: start[name] for name in ("model", "recipe", "seed")} | _target(start)
    if (budget := setting(start["config"], "budget")) is not None:
        known["budget_asked"] = budget
    return known


def arrival(entry: Event) -> str:
    """Return one line on a run that reached its target."""
    level = entry["target"]
    compute = entry["paper3x_to_target_tfs_days"] or entry["paper3x_tfs_days"]
    return (
        f"{level['metric']} {level['value']:.2%} reached with {compute:.3g} tfs-days,"
        f" after {entry['epochs']:.3g} epochs"
    )


def _experiment(start: Event) -> str:
    return start["experiment"] or f"{start['model']}-{start['recipe']}"


def _target(of: Event) -> dict[str, Any]:
    """Return metric and value of the target; empty for a budgeted run without one."""
    level = of["target"]
    return {f"target_{name}": level[name] for name in ("metric", "value")} if level else {}


def main() -> None:
    """Mirror the events from stdin until its end, then exit without waiting for wandb."""
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    lines, replies = _own_pipes()
    settings = MirrorSettings(**json.loads(lines.readline()))
    mirror = RunMirror(settings, replies)
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, events, settings.wait_seconds), daemon=True).start()
    failure = None
    for part in (lambda: mirror.take_all(events), mirror.finish):
        try:
            part()
        except Exception as error:  # an error in wandb ends the mirror and nothing else
            traceback.print_exc()
            failure = failure or f"{type(error).__name__}: {error}".splitlines()[0]
    mirror.reply(**{"finished": True} if failure is None else {"failure": failure})
    sys.stderr.flush()
    os._exit(0)  # wandb's exit hooks would wait for a server that may be dead


def _own_pipes() -> tuple[TextIO, TextIO]:
    """Copies of stdin and stdout that wandb's own process does not inherit and keep open."""
    lines, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return lines, replies


def _read(lines: TextIO, events: queue.SimpleQueue[Event | None], wait_seconds: float) -> None:
    """Queue events until the line ``null``, or until the input ends because the run was killed.

    Afterwards it acts as a timeout: it exits the process if the upload does not finish.
    """
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # truncated by a kill
            break
        if event is None:
            break
        events.put(event)
    events.put(None)
    time.sleep(wait_seconds)
    os._exit(1)


if __name__ == "__main__":
    main()
