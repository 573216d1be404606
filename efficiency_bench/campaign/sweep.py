"""One run or many, in this process: each composed by Hydra, shown, mirrored and answered for."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from efficiency_bench.campaign.processes import leave, this_process
from efficiency_bench.config import RunConfig
from efficiency_bench.config_checks import check
from efficiency_bench.errors import UserError
from efficiency_bench.hydra_app import Place, launch
from efficiency_bench.report.progress import RunProgress, ending_line
from efficiency_bench.tracking.wandb_mirror import WandbMirror

if TYPE_CHECKING:
    from efficiency_bench.campaign.run import Mirror, Outcome

STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: the same command continues."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""From a person, the system, and a scheduler whose time limit comes near."""


def train_all(arguments: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """Run what Hydra's ``arguments`` say; the entries as JSON values, and the exit code.

    A run that fails does not keep the others of a sweep from running; the worst exit code is
    returned.  A signal ends the running one at its next step and starts no other.
    """
    console = Console(stderr=True, quiet=not this_process().leads)
    entries: list[dict[str, Any]] = []
    codes: list[int] = []

    with stop_flag() as stop:

        def one(config: RunConfig, place: Place) -> None:
            if stop:
                codes.append(STOPPED)
                return
            try:
                check(config)
                outcome = shown(config, place, console, stop)
            except UserError as error:
                if place.total == 1:
                    raise
                console.print(f"run {place.number}/{place.total}: {error}", markup=False)
                codes.append(2)
                return
            codes.append(outcome.exit_code)
            if outcome.entry is not None:
                entries.append(outcome.entry.model_dump(mode="json"))

        try:
            launch(arguments, one)
        finally:
            leave()
    return entries, worst(codes)


def shown(config: RunConfig, place: Place, console: Console, stop: list[int]) -> Outcome:
    """One run with its progress on the terminal and its mirrors."""
    from efficiency_bench.campaign.run import run  # torch: a mistake is told before its seconds

    progress = RunProgress(console, place.number, place.total)

    def mirrors(folder: Path) -> Iterator[Mirror]:
        yield progress
        if config.tracking.wandb:
            yield WandbMirror(config.tracking.project, config.tracking.group, folder)

    outcome = run(config, mirrors, stop_requested=lambda: bool(stop))
    if outcome.already_finished and outcome.entry is not None:
        entry = outcome.entry.model_dump(mode="json")
        console.print(f"finished before, in the ledger as {entry['run_id']}:", highlight=False)
        console.print(ending_line(entry), highlight=False)
    return outcome


@contextmanager
def stop_flag() -> Iterator[list[int]]:
    """A list that holds the signals received; the second Ctrl-C ends the process at once."""
    received: list[int] = []

    def handler(number: int, _: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        if this_process().leads:
            print("stopping after this step; the same command goes on", file=sys.stderr)

    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield received
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def worst(codes: Sequence[int]) -> int:
    """One exit code for several runs: stopped, then the user's mistake, then a fault."""
    return next((code for code in (STOPPED, 2, 1) if code in codes), 0)
