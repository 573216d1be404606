"""Trains one run with its progress on the terminal, and passes its events to its mirrors.

Progress is a live bar on a terminal and plain lines elsewhere, both on standard error, so that
standard output stays for results.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from efficiency_bench.config import RunConfig
from efficiency_bench.ledger.history import Event
from efficiency_bench.records import FAULTS, Entry
from efficiency_bench.run.processes import Process
from efficiency_bench.run.signals import Stop
from efficiency_bench.stop_rule import metric_of_entry, metric_of_start
from efficiency_bench.text_console import TextConsole

if TYPE_CHECKING:
    from efficiency_bench.run.run import Mirror, RunOutcome


def no_mirrors(config: RunConfig, folder: Path) -> Iterable[Mirror]:
    """No mirrors: events go to the terminal only."""
    return ()


@dataclass(frozen=True)
class Terminal:
    """What the runs of one command share: the console, and the mirrors of their events."""

    console: Console
    mirrors: Callable[[RunConfig, Path], Iterable[Mirror]] = no_mirrors
    """Creates the additional mirrors of a run from its configuration and folder."""


class DetachableStream:
    """A stream whose reader may be gone: a failed write is dropped, not raised.

    A closed terminal (SIGHUP) or pipe (``2>&1 | head``) is not a fault of the run.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``; the caller always sees success."""
        try:
            return self._stream.write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Flush the stream; never raises OSError."""
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())  # buffered text goes there too
        os.close(null)


def console_of(process: Process) -> Console:
    """The command's console on standard error; quiet on all ranks except rank 0."""
    return TextConsole(file=cast(IO[str], DetachableStream(sys.stderr)), quiet=not process.is_main)


def run_with_progress(
    config: RunConfig,
    terminal: Terminal,
    stop: Stop,
    place: tuple[int, int] = (1, 1),
    begins: Callable[[Path], None] = lambda folder: None,
) -> RunOutcome:
    """Train or resume ``config``; ``place`` is its number, from 1, and the total.

    ``begins`` is called with the run's folder before the first step.  Raises UserError.
    """
    from efficiency_bench.run.run import run  # imports torch: report mistakes first

    console = terminal.console
    progress = RunProgress(console, *place)

    def mirrors(folder: Path) -> Iterator[Mirror]:
        begins(folder)
        yield progress
        yield from terminal.mirrors(config, folder)

    # file names may contain brackets, which are not markup
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    outcome = run(config, mirrors, stop_requested=lambda: bool(stop), tell=tell)
    if outcome.already_finished and outcome.entry is not None:
        entry = outcome.entry
        console.print(f"finished before, in the ledger as {entry.run_id}:", highlight=False)
        console.print(ending_line(entry), highlight=False)
    return outcome


class RunProgress:
    """Shows one run: epoch, accuracy against target, compute so far, time left."""

    def __init__(self, console: Console, number: int = 1, total: int = 1) -> None:
        self.console = console
        self.place = f"run {number}/{total} " if total > 1 else ""
        self.start: Event = {}
        self.accuracy: float | None = None
        self.compute = 0.0  # paper3x so far, tfs-days
        self.live: Progress | None = None

    def __call__(self, event: Event) -> None:
        """Print one event."""
        match event["event"]:
            case "start":
                self._begin(event)
            case "resume":
                self._resume(event)
            case "progress" | "evaluation":
                self._advance(event)
            case "compiled":
                for reason in event["left_eager"]:
                    self._say(f"  note: a part of the network is not compiled: {reason}")
            case "halted":
                self._say(f"  note: suspended for {event['seconds']:.1f} s, which is not counted")
            case "profile":
                self.close()
                found = [event[key] for key in ("trace", "table") if event[key] is not None]
                self._say(f"  profile: {', '.join(found) or 'none, the run was too short'}")
            case "end" | "interrupted":
                self.close()
                if event["event"] == "interrupted":
                    self._say(f"{self._name()}: {event['detail']}")
            case "entry":
                self._say(ending_line(event["entry"]))

    def close(self) -> None:
        """Stop drawing; a second call does nothing."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _begin(self, event: Event) -> None:
        self.start = event
        numerics = event["config"]
        self._say(
            f"{self.place}{self._name()} on {event['data']}: {target_words(event)}; "
            f"{numerics['device']} {numerics['precision']}"
            f"{' channels_last' if numerics['channels_last'] else ''}"
        )
        for note in event["notes"]:
            self._say(f"  note: {note}")
        if self.console.is_terminal:
            columns = (
                TextColumn("  {task.fields[state]}", markup=False),
                BarColumn(bar_width=None),
            )
            self.live = Progress(*columns, console=self.console, transient=True)
            self.task = self.live.add_task("", total=event["total_steps"], state="starting")
            self.live.start()

    def _resume(self, event: Event) -> None:
        lost = event["lost"]["images"]
        again = f"; {lost} images will be repeated" if lost else ""
        text = f"  resumes after step {event['steps']} ({event['images']} images){again}"
        self._say(text)
        for note in event["notes"]:
            self._say(f"  note: {note}")

    def _advance(self, event: Event) -> None:
        if event["event"] == "evaluation":
            self.accuracy = event[metric_of_start(self.start)]
        else:
            self.compute = event["paper3x_tfs_days"]
        state = self._state(event)
        if self.live is not None:
            self.live.update(self.task, completed=event["steps"], state=state)
        elif event["event"] == "evaluation":
            self._say(f"  {state}")

    def _say(self, text: str) -> None:
        # an error message may contain brackets, which are not markup
        self.console.print(text, highlight=False, markup=False)

    def _name(self) -> str:
        return f"{self.start['experiment'] or self.start['model']} seed {self.start['seed']}"

    def _state(self, event: Event) -> str:
        steps, total = event["steps"], self.start["total_steps"]
        left = (total - steps) * event["train_seconds"] / steps if steps else 0.0
        target = self.start["target"]
        most = "" if target is None else " at most"
        goal = "" if target is None else f" of {100 * target['value']:.1f}"
        reached = "-" if self.accuracy is None else f"{100 * self.accuracy:.1f}"
        return (
            f"epoch {event['epochs']:.2f}/{self.start['total_epochs']:g}"
            f"  {metric_of_start(self.start)} {reached}{goal} %"
            f"  {self.compute:.2e} tfs-days  {clock(left)} left{most}"
        )


def target_words(start: Event) -> str:
    """One-line description of a run's target."""
    target = start["target"]
    if target is None:
        budget = start.get("budget")
        share = f" ({budget['asked']:.4g} of the baseline's compute)" if budget else ""
        purpose = "runs" if budget else "sets the target,"
        return f"{purpose} {start['total_epochs']:.4g} epochs{share}"
    tolerance = f" - {100 * target['tolerance']:.2f}" if target["tolerance"] else ""
    source = "" if target["source"] == "setting" else f" ({target['source']})"
    ends = start["config"].get("estimand") == "budgeted"
    after = f" at the end of {start['total_epochs']:.4g} epochs" if ends else ""
    return f"to {target['metric']} >= {100 * target['value']:.2f}{tolerance} %{source}{after}"


def ending_line(entry: Entry) -> str:
    """One-line summary of a finished run."""
    target = entry.target
    name = f"  {entry.experiment or entry.model} seed {entry.seed}"
    spent = f"{entry.epochs:.2f} epochs, {entry.paper3x_tfs_days:.2e} tfs-days"
    if entry.end_reason in FAULTS:
        return f"{name}: {entry.end_reason} after {spent}: {entry.end_detail}"
    if target is None:
        metric = metric_of_entry(entry)
        last = f"{100 * entry.evaluations[-1].accuracy(metric):.2f} %"
        return f"{name}: ended at {metric} {last} in {spent}"
    value = f"{100 * target.value:.2f} %"
    if target.source == "own_schedule":
        return f"{name}: set {target.metric} {value} in {spent}"
    if entry.estimand == "budgeted":
        last = f"{100 * entry.evaluations[-1].accuracy(target.metric):.2f} %"
        verdict = "meets" if entry.reached else "does NOT meet"
        return f"{name}: ended at {last}, which {verdict} {value}; {spent}"
    if not entry.reached:
        touched = entry.first_crossing_images is not None
        missed = "reached but NOT held" if touched else "NOT reached"
        return f"{name}: {missed} {value}; {spent}"
    # nothing is known before the first evaluation, so the crossing is an upper bound
    first = entry.sustained_crossing_images == entry.evaluations[0].images
    place = f"{'by' if first else 'at'} epoch {entry.sustained_crossing_epochs:.2f}"
    return (
        f"{name}: reached {value} {place}{', its first evaluation' if first else ''}, "
        f"{entry.paper3x_to_target_tfs_days:.2e} tfs-days (stopped after {spent})"
    )


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
