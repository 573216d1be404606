"""Shared by all verbs: common options, reading of entries, printing, and stopping."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from efficiency_bench import ledger
from efficiency_bench.errors import STOPPED
from efficiency_bench.formatting import visible

if TYPE_CHECKING:
    from rich.console import Console

    from efficiency_bench.records import Entry

DISAGREEMENT = 1
USER_MISTAKE = 2

Tier = Literal["measured", "imported", "published"]
Estimand = Literal["anytime", "budgeted"]

LedgerDir = Annotated[Path, typer.Option("--ledger", help="Folder of the ledger.")]
AnyLedger = Annotated[
    Path, typer.Option("--ledger", help="Folder of the ledger, or a zip file of it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON only, the rest to stderr.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="Print whole run ids, in as many columns as they take.")
]
DEFAULT_LEDGER = Path("runs/ledger")

Source = Annotated[str, typer.Argument(help="`published`, a ledger's folder, or a zip of it.")]
DataName = Annotated[str | None, typer.Option("--data", help="Data name or digest prefix.")]
TargetValue = Annotated[
    float | None, typer.Option("--target", help="Target accuracy, a fraction: 0.791.")
]
TierName = Annotated[Tier | None, typer.Option("--tier", help="Source of the rows.")]
Until = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Leave out rows published after this day."),
]
EstimandName = Annotated[
    Estimand | None, typer.Option("--estimand", help="How the target has to be reached.")
]


def read_entries(source: str) -> tuple[Entry, ...]:
    """Read the entries of ``published`` or a ledger; print what could not be read."""
    found = ledger.read(source)
    for problem in found.problems:
        print_line(f"not read: {problem}", error=True)
    return found.entries


def print_line(text: str, error: bool = False) -> None:
    """Print a line to standard output or standard error, with control characters escaped."""
    print(visible(text), file=sys.stderr if error else sys.stdout)


def print_json(value: Any) -> None:
    """Write JSON to standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def stdout_console() -> Console:
    """A console on standard output that follows NO_COLOR and the terminal's width.

    Text is printed verbatim: `[/red]` in a model's name is not markup.
    """
    from efficiency_bench.text_console import TextConsole

    return TextConsole()


@contextlib.contextmanager
def stderr_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress bars on standard error: one for each task, with its count and total."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from efficiency_bench.text_console import TextConsole

    columns = *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=TextConsole(stderr=True)) as live:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = live.add_task(what, total=total)
            live.update(tasks[what], completed=done)

        yield show


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """On Ctrl-C or SIGTERM, unwind the body and exit with the code of a stopped job."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume if possible", file=sys.stderr)
        raise typer.Exit(STOPPED) from None
    finally:
        if signal.getsignal(signal.SIGTERM) is stop:  # a stopped run ignores SIGTERM by now
            signal.signal(signal.SIGTERM, before)
