"""One run with its progress on the terminal and its mirrors."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
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
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror

if TYPE_CHECKING:
    from efficiency_bench.run.run import Mirror, Outcome


@dataclass(frozen=True)
class Terminal:
    """What the runs of one command share: where they speak, and how W&B has fared."""

    console: Console
    session: Session


class Unheard:
    """A stream that nobody may be reading any more: a failed write is dropped, not raised.

    A closed terminal (SIGHUP) or pipe (``2>&1 | head``) is no fault of a run.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """All of ``text``, as far as the caller is concerned."""
        try:
            return self._stream.write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """As the stream's, but never raises OSError."""
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())  # what is still buffered goes there as well
        os.close(null)


def terminal(process: Process) -> Terminal:
    """The command's terminal; of several processes the first one speaks."""
    console = TextConsole(file=cast(IO[str], Unheard(sys.stderr)), quiet=not process.is_main)
    # not wrapped, since what W&B has to say holds a command to be copied
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    return Terminal(console, Session(say))


def shown(
    config: RunConfig,
    terminal: Terminal,
    stop: Stop,
    place: tuple[int, int] = (1, 1),
    begins: Callable[[Path], None] = lambda folder: None,
) -> Outcome:
    """Train ``config``, or take it up again; ``place`` is its number, from 1, of the total.

    ``begins`` is told the run's folder before the first step.  Raises UserError.
    """
    from efficiency_bench.run.run import run  # torch: a mistake is told before its seconds

    console = terminal.console
    progress = RunProgress(console, *place)

    def mirrors(folder: Path) -> Iterator[Mirror]:
        begins(folder)
        yield progress
        if config.tracking.wandb:
            tracking = config.tracking
            later = sync_command(config.ledger_dir, tracking.project)
            yield WandbMirror(tracking.project, tracking.group, folder, terminal.session, later)

    # file names may hold brackets, which are no markup
    tell = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    outcome = run(config, mirrors, stop_requested=lambda: bool(stop), tell=tell)
    if outcome.already_finished and outcome.entry is not None:
        entry = outcome.entry
        console.print(f"finished before, in the ledger as {entry.run_id}:", highlight=False)
        console.print(ending_line(entry), highlight=False)
    return outcome


def sync_command(ledger_dir: str, project: str) -> str:
    """What to type to upload a ledger's runs later."""
    words = ["efficiency-bench", "track", "sync", "--ledger", ledger_dir, "--project", project]
    return shlex.join(words)
