"""Trains one run with its progress on the terminal, and passes its events to its mirrors.

Progress is a live bar on a terminal and plain lines elsewhere, both on standard error, so that
standard output stays for results.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from efficiency_bench.config import RunConfig
from efficiency_bench.formatting import number
from efficiency_bench.ledger.history import Event
from efficiency_bench.records import FAULTS, Entry
from efficiency_bench.run.processes import Process
from efficiency_bench.run.progress import RunState, SweepState
from efficiency_bench.run.signals import Stop
from efficiency_bench.stop_rule import better_than_guessing, metric_of_entry
from efficiency_bench.text_console import TextConsole

if TYPE_CHECKING:
    from efficiency_bench.run.run import Mirror, RunOutcome


LEAST_BAR_COLUMNS = 8
JSON_EVERY_SECONDS = 1.0
"""Least time between two JSON objects for the steps of a run; evaluations are always written."""


def no_mirrors(config: RunConfig, folder: Path) -> Iterable[Mirror]:
    """No mirrors: events go to the terminal only."""
    return ()


@dataclass(frozen=True)
class Terminal:
    """What the runs of one command share: the console, and the mirrors of their events."""

    console: Console
    mirrors: Callable[[RunConfig, Path], Iterable[Mirror]] = no_mirrors
    """Creates the additional mirrors of a run from its configuration and folder."""
    as_json: bool = False
    """Whether progress is written for machines."""


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
    sweep: SweepState | None = None,
) -> RunOutcome:
    """Train or resume ``config``; ``place`` is its number, from 1, and the total.

    ``begins`` is called with the run's folder before the first step.  ``sweep`` is shown too, if
    this process trains all of it.  Raises UserError.
    """
    from efficiency_bench.run.run import run  # imports torch: report mistakes first

    console = terminal.console
    progress = RunProgress(console, *place, sweep, terminal.as_json)

    def mirrors(folder: Path) -> Iterator[Mirror]:
        begins(folder)
        yield progress
        yield from terminal.mirrors(config, folder)

    # file names may contain brackets, which are not markup
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    if sweep is not None:
        sweep.begin()
    outcome = run(config, mirrors, stop_requested=lambda: bool(stop), tell=tell)
    if sweep is not None and outcome.entry is not None and not outcome.already_finished:
        sweep.trained()
    if outcome.already_finished and outcome.entry is not None:
        entry = outcome.entry
        console.print(f"finished before, in the ledger as {entry.run_id}:", highlight=False)
        console.print(ending_line(entry), highlight=False)
    return outcome


class RunProgress:
    """Shows one run in one line: bar, epoch, accuracy against target, images/s, time left.

    On a terminal the line is redrawn, with another for the whole sweep; elsewhere one is printed
    for each evaluation; ``as_json``, one JSON object for each event on which it changes.
    """

    def __init__(
        self,
        console: Console,
        number: int = 1,
        total: int = 1,
        sweep: SweepState | None = None,
        as_json: bool = False,
    ) -> None:
        self.console = console
        self.number, self.total = number, total
        self.sweep = sweep
        self.as_json = as_json
        self.state: RunState | None = None
        self.live: Progress | None = None
        self._written = -math.inf  # when the latest JSON object was, seconds

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
                self._write(event["event"])
                if event["event"] == "interrupted" and self.state is not None:
                    self._say(f"{name(self.state.start)}: {event['detail']}")
            case "entry":
                self._say(ending_line(event["entry"]))

    def close(self) -> None:
        """Stop drawing; a second call does nothing."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _begin(self, event: Event) -> None:
        self.state = RunState(event)
        numerics = event["config"]
        place = f"run {self.number}/{self.total} " if self.total > 1 else ""
        self._say(
            f"{place}{name(event)} on {event['data']}: {target_words(event)}; "
            f"{numerics['device']} {numerics['precision']}"
            f"{' channels_last' if numerics['channels_last'] else ''}"
        )
        for note in event["notes"]:
            self._say(f"  note: {note}")
        self._write("start")
        if self.console.is_terminal and not self.as_json:
            columns = (
                BarColumn(None, table_column=Column(ratio=1, min_width=LEAST_BAR_COLUMNS)),
                TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True)),
            )
            self.live = Progress(*columns, console=self.console, transient=True, expand=True)
            self.line = self.live.add_task("", total=event["total_steps"], state="starting")
            if self.sweep is not None:
                self.whole = self.live.add_task(
                    "", total=self.total, completed=self.sweep.done, state=self.sweep.words()
                )
            self.live.start()

    def _resume(self, event: Event) -> None:
        lost = event["lost"]["images"]
        again = f"; {lost} images will be repeated" if lost else ""
        text = f"  resumes after step {event['steps']} ({event['images']} images){again}"
        self._say(text)
        for note in event["notes"]:
            self._say(f"  note: {note}")

    def _advance(self, event: Event) -> None:
        assert self.state is not None  # the start comes before
        self.state.add(event)
        evaluated = event["event"] == "evaluation"
        if evaluated or time.monotonic() - self._written >= JSON_EVERY_SECONDS:
            self._write(event["event"])
        if self.live is not None:
            self.live.update(self.line, completed=self.state.steps, state=self.state.words())
            if self.sweep is not None:
                self.live.update(self.whole, state=self.sweep.words(self.state.left_seconds))
        elif evaluated and not self.as_json:
            self._say(f"  {self.state.words()}")

    def _write(self, kind: str) -> None:
        """Write the state as one line of JSON, if that is asked for."""
        if not self.as_json or self.state is None:
            return
        self._written = time.monotonic()
        row = {"event": kind, "run": self.number, "runs": self.total, **self.state.row()}
        if self.sweep is not None:
            row["sweep_left_seconds"] = self.sweep.left_seconds(row["left_seconds"])
        self.console.out(json.dumps(row, allow_nan=False), highlight=False)

    def _say(self, text: str) -> None:
        # an error message may contain brackets, which are not markup
        self.console.print(text, highlight=False, markup=False)


def name(start: Event) -> str:
    """A run's name: experiment or model, and seed."""
    return f"{start['experiment'] or start['model']} seed {start['seed']}"


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
    assert entry.paper3x_tfs_days is not None  # only an imported run's is unknown
    spent = f"{entry.epochs:.2f} epochs, {number(entry.paper3x_tfs_days)} tfs-days"
    if entry.end_reason in FAULTS:
        return f"{name}: {entry.end_reason} after {spent}: {entry.end_detail}"
    if target is None:
        metric = metric_of_entry(entry)
        last = f"{100 * entry.evaluations[-1].accuracy(metric):.2f} %"
        guess = "" if better_than_guessing(entry, metric) else ", no better than guessing,"
        return f"{name}: ended at {metric} {last}{guess} in {spent}"
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
    assert entry.paper3x_to_target_tfs_days is not None
    place = f"{'by' if first else 'at'} epoch {entry.sustained_crossing_epochs:.2f}"
    return (
        f"{name}: reached {value} {place}{', its first evaluation' if first else ''}, "
        f"{number(entry.paper3x_to_target_tfs_days)} tfs-days (stopped after {spent})"
    )
