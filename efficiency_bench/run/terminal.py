"""Trains one run with its progress on the terminal, and passes its events to its mirrors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console

from efficiency_bench.config import RunConfig
from efficiency_bench.run.processes import Process
from efficiency_bench.run.progress import RunProgress, ending_line
from efficiency_bench.run.signals import Stop
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
