"""The process that shows one run in W&B: it reads the run's events as JSON lines from its input.

wandb is imported here and nowhere else.  A process of its own, because wandb may hang, raise or
hold the interpreter at its exit for as long as a server is silent: none of that can reach a run.
It also outlives a run that is killed, and then still hands over what it was told.
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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from efficiency_bench.ledger.events import read_events
from efficiency_bench.ledger.history import useful

CURVES = ("top1", "top5", "validation_loss", "train_loss")

AXES = ("paper3x_tfs_days", "images", "epochs", "train_seconds")
"""The first is the one that curves are drawn against unless a panel says otherwise."""


Event = Mapping[str, Any]

NICENESS = 10
"""Training comes first: this process and wandb's own take what it leaves."""

INIT_TIMEOUT_SECONDS = 8
"""wandb's own default is 90 s.  It must leave time to open the run offline within the time that
the end of a run waits (``wandb_mirror.CLOSE_TIMEOUT_SECONDS``)."""

FLUSH_SECONDS = 2.0
"""How often wandb's file is written; its own 15 s is what a cut of the power would cost."""

EXIT_SECONDS = 4.0
"""Kept of the time to finish for all but the upload: closing the file, and the exit itself."""

FACTS = ("target", "counts", "classes", "train_images", "total_steps", "data_digest", "provenance")
"""What stands in the configuration beside the run's own keys."""

NOT_FOR_US = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""Meant for the run: it stops, says so, and the end of its events ends this process."""

EXIT_CODES = {"target": 0, "schedule": 0, "diverged": 1, "failed": 1}
UNNAMED = "efficiency-bench"  # wandb sends the host's name and the program's path otherwise
TAG_LENGTH = 64  # wandb refuses longer ones


@dataclass(frozen=True)
class Order:
    """What the run's side asks for, in the first line."""

    project: str
    group: str | None
    folder: str
    mode: Literal["online", "offline", "shared", "disabled"]
    wait_seconds: float
    """How long this process may go on after its last event."""
    watched_process: int
    """Whose processor and memory the system metrics are of."""


class Shown:
    """One run in W&B, built up event by event."""

    def __init__(self, order: Order, news: TextIO) -> None:
        self.order = order
        self.news = news
        self.run: Any = None
        self.row: dict[str, Any] = {}
        self.first_step = 0
        self.exit_code = 1  # unless it ends by itself: it was killed

    def all_of(self, events: queue.SimpleQueue[Event | None]) -> None:
        """Take events until None."""
        while (event := events.get()) is not None:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take one event."""
        match event["event"]:
            case "start":
                self.run = self._open(event)
            case "resume":
                self._fill(event["steps"])
            case "progress" | "evaluation":
                self._add(event)
            case "interrupted":
                self._log_row()
                self.run.mark_preempting()
                self.exit_code = 75
            case "entry":
                self._log_row()
                self._close_with(event["entry"])
                self.exit_code = EXIT_CODES[event["entry"]["end_reason"]]

    def finish(self) -> None:
        """Hand everything over; TimeoutError where the server did not take it in time.

        A row that was not complete when the run was killed is left out: the resumed run does
        that step again, and W&B takes no step twice.
        """
        if self.run is not None:
            self.run.finish(exit_code=self.exit_code)

    def tell(self, **news: Any) -> None:
        """One line to the run's side."""
        print(json.dumps(news), file=self.news, flush=True)

    def _open(self, start: Event) -> Any:
        """Open the run and say so; the run's side waits for it before it sends more."""
        import wandb

        experiment = start["experiment"] or f"{start['model']}-{start['recipe']}"
        repeat = f" repeat {start['repeat']}" if start["repeat"] else ""
        tags = dict.fromkeys((experiment, start["model"], start["recipe"], start["data"]))
        settings = wandb.Settings(
            init_timeout=INIT_TIMEOUT_SECONDS,
            finish_timeout=max(1.0, self.order.wait_seconds - EXIT_SECONDS),
            finish_timeout_raises=True,
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            host=UNNAMED,
            program=UNNAMED,
            x_disable_meta=True,  # paths, arguments, user
            x_stats_pid=self.order.watched_process,
            x_transaction_log_flush_interval=FLUSH_SECONDS,
        )
        run = wandb.init(
            project=self.order.project,
            group=self.order.group,
            job_type="train",
            name=f"{experiment} seed {start['seed']}{repeat}",
            id=start["run_id"],
            resume="allow",
            tags=[tag[:TAG_LENGTH] for tag in tags],
            config={**start["config"], **{name: start[name] for name in FACTS}},
            dir=self.order.folder,
            mode=self.order.mode,
            settings=settings,
        )
        self.first_step = run.starting_step  # past what earlier attempts have handed over
        for curve in CURVES:
            run.define_metric(curve, step_metric=AXES[0])
        self.tell(opened=True)
        return run

    def _fill(self, steps: int) -> None:
        """What an earlier attempt did up to ``steps`` but could not hand over.

        Offline there is nobody to ask; its own file, beside this one's, holds it.
        """
        if self.run.offline:
            return
        for event in useful(read_events(Path(self.order.folder) / "events.jsonl").events):
            if event["event"] in ("progress", "evaluation") and event["steps"] <= steps:
                self._add(event)

    def _add(self, event: Event) -> None:
        """Progress and the evaluation after it make one row of their step.

        Progress alone waits for the next event: W&B takes no step twice.
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
        """The crossing and the account into the summary, the entry as an artifact."""
        import wandb

        plain = {k: v for k, v in entry.items() if isinstance(v, str | int | float | bool)}
        target = {f"target_{name}": entry["target"][name] for name in ("metric", "value")}
        self.run.summary.update(plain | target)
        artifact = wandb.Artifact(f"entry-{entry['run_id']}", type="ledger-entry")
        with artifact.new_file("entry.json", encoding="utf-8") as file:
            json.dump(entry, file, indent=2)
        self.run.log_artifact(artifact)


def main() -> None:
    """Show what the input tells until its end, then exit without waiting for anybody."""
    for number in NOT_FOR_US:
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    lines, news = _own_pipes()
    order = Order(**json.loads(lines.readline()))
    shown = Shown(order, news)
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, events, order.wait_seconds), daemon=True).start()
    failure = None
    for part in (lambda: shown.all_of(events), shown.finish):
        try:
            part()
        except Exception as error:  # whatever wandb raises ends the mirror and nothing else
            traceback.print_exc()
            failure = failure or f"{type(error).__name__}: {error}".splitlines()[0]
    shown.tell(**{"finished": True} if failure is None else {"failure": failure})
    sys.stderr.flush()
    os._exit(0)  # wandb's exit hooks wait for a server that may be dead


def _own_pipes() -> tuple[TextIO, TextIO]:
    """Input and output of this process alone: wandb's own process would inherit the standard
    ones and keep them open."""
    lines, news = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return lines, news


def _read(lines: TextIO, events: queue.SimpleQueue[Event | None], wait_seconds: float) -> None:
    """Queue events until the line ``null``, or the end of the input when the run was killed.

    From then on it is the clock: a finish that does not end is broken off.
    """
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # cut short by a kill
            break
        if event is None:
            break
        events.put(event)
    events.put(None)
    time.sleep(wait_seconds)
    os._exit(1)


if __name__ == "__main__":
    main()
