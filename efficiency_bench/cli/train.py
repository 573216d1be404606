"""The implementation of `efficiency-bench train`: one run, or a sweep of runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from efficiency_bench import hydra_app
from efficiency_bench.config import RunConfig
from efficiency_bench.config_checks import check
from efficiency_bench.errors import STOPPED, Stopped, UserError
from efficiency_bench.records import Entry
from efficiency_bench.run.processes import leave, this_process
from efficiency_bench.run.signals import stop_on_signal
from efficiency_bench.run.terminal import Terminal, console_of, run_with_progress

if TYPE_CHECKING:
    from efficiency_bench.run.run import Mirror
    from efficiency_bench.tracking.wandb_mirror import Session


STOPPED_ATTEMPTS: set[tuple[str, str]] = set()
"""Name and time of every start of a sweep that a signal has stopped in this process."""


def terminal(as_json: bool = False) -> Terminal:
    """The console of this command; each run has a W&B mirror unless ``tracking.wandb=false``."""
    console = console_of(this_process())
    # not wrapped: W&B's messages contain a command to copy
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)

    @cache
    def session() -> Session:  # one for all runs of the command
        from efficiency_bench.tracking.wandb_mirror import Session

        return Session(say)

    def mirrors(config: RunConfig, folder: Path) -> Iterator[Mirror]:
        if config.tracking.wandb:
            from efficiency_bench.tracking.wandb_mirror import mirror_of

            yield mirror_of(session(), config, folder)

    return Terminal(console, mirrors, as_json)


def entries_of(arguments: Sequence[str]) -> tuple[Entry, ...]:
    """``train`` for callers in Python: returns the entries, or raises.

    Raises UserError and Stopped as documented in ``efficiency_bench.train``.
    """
    if threading.current_thread() is not threading.main_thread():
        raise UserError(
            "efficiency_bench.train was called in a thread, where it cannot handle Ctrl-C and other"
            " signals: call it in the main thread"
        )
    entries, exit_code = train(arguments)
    if exit_code == STOPPED:
        raise Stopped(
            "stopped before the end, with a checkpoint; make the same call again to resume"
        )
    if exit_code == 2:
        raise UserError(
            "some runs of the sweep could not start; the others are in the ledger\n"
            "to see which and why: efficiency-bench status"
        )
    return entries


def train(
    arguments: Sequence[str], leaving: bool = False, as_json: bool = False
) -> tuple[tuple[Entry, ...], int]:
    """Train the runs of Hydra's ``arguments``; return the entries and the exit code.

    ``leaving``: the process exits with that code afterwards (see ``stop_on_signal``).  ``as_json``:
    progress is written for machines.
    """
    try:
        launcher = hydra_app.launcher(arguments)
        jobs = hydra_app.compose(arguments)
        if not jobs:  # Hydra only printed something, such as --cfg
            return (), 0
        here = terminal(as_json)
        if hydra_app.is_sweep(arguments):
            from efficiency_bench.sweep.train import train_sweep

            return train_sweep(jobs, arguments, launcher, here, train_job, leaving)
        if launcher is not None:
            raise UserError(
                "hydra/launcher= starts the runs of a sweep: add -m, also for a single run"
            )
        return train_one(jobs[0].config, here, leaving)
    finally:
        leave()


def train_one(config: RunConfig, here: Terminal, leaving: bool) -> tuple[tuple[Entry, ...], int]:
    """Train a single run, without a sweep."""
    check(config)
    with stop_on_signal(leaving) as stop:
        outcome = run_with_progress(config, here, stop)
        if outcome.exit_code == STOPPED:
            stop.hand_over()
    return () if outcome.entry is None else (outcome.entry,), outcome.exit_code


def train_job(folder: Path, number: int) -> None:
    """Train run ``number`` of the sweep in ``folder``: the job that a launcher starts.

    Returns nothing, because the run's records say how it ended.  The launcher does not know: Slurm
    counts a task that raises as completed.  A process that trains several runs one after the other
    takes no more of a sweep once a signal has stopped one.
    """
    from efficiency_bench.sweep import manifest
    from efficiency_bench.sweep.train import train_run

    sweep = manifest.read(folder)
    attempt = sweep.name, sweep.written_utc
    if attempt in STOPPED_ATTEMPTS:
        return
    try:
        with stop_on_signal() as stop:
            code, _ = train_run(sweep, number, terminal(), stop)
            if stop:
                STOPPED_ATTEMPTS.add(attempt)
            if code == STOPPED:
                stop.hand_over()
    finally:
        leave()
