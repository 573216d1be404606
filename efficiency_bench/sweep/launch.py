"""Starts the runs of a sweep through a launcher, and handles the cluster's failures."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

from rich.console import Console

from efficiency_bench import hydra_app
from efficiency_bench.errors import UserError
from efficiency_bench.hydra_app import Launcher
from efficiency_bench.ledger.baseline import uses_current_baseline
from efficiency_bench.records import Entry
from efficiency_bench.run.target import is_baseline, known_entries, needs_baseline
from efficiency_bench.sweep import manifest
from efficiency_bench.sweep.manifest import RunNote, Sweep
from efficiency_bench.sweep.status import FINISHED, status_of


class Submission:
    """Submits the missing runs of ``sweep`` through ``launcher``."""

    def __init__(
        self,
        sweep: Sweep,
        launcher: Launcher,
        console: Console,
        job: Callable[[Path, int], None],
    ) -> None:
        """``job(folder, number)`` is what the launcher calls to train one run.

        Raises UserError if Slurm does not respond or still has jobs of this sweep."""
        self.sweep = sweep
        self.launcher = launcher
        self.console = console
        self.job = job
        if launcher.on_slurm and (queued := queue(sweep.name)):
            raise UserError(
                f"{len(queued)} jobs of this sweep are still in the queue ({queued[0]}, ...); watch"
                f" them: efficiency-bench status {sweep.name}\nor cancel them: scancel"
                f" --name={sweep.name}, and run this command again"
            )

    @property
    def how_to_continue(self) -> str:
        """What to type if not every run has ended."""
        return (
            f"efficiency-bench status {self.sweep.name} shows the runs; the same command again"
            " starts those that are missing"
        )

    def run(self) -> str | None:
        """Start the missing runs and wait; returns the launcher's error, or None.

        Each wave waits for the one before: runs whose target is a baseline of this sweep cannot
        start until it has ended.  Raises UserError if the cluster accepts no job.
        """
        entries_of = cache(known_entries)  # hundreds of runs share one ledger
        missing = [n for n in self.sweep.numbers if self._to_be_started(n, entries_of)]
        total = len(self.sweep.runs)
        if others := total - len(missing):
            self.console.print(
                f"{others} of {total} runs have ended or are running",
                highlight=False,
                soft_wrap=True,
            )
        with sacct_replacement(self.console) if self.launcher.on_slurm else nullcontext():
            for wave in waves(self.sweep, missing):
                self.console.print(
                    f"submitting {len(wave)} of {total} runs of sweep {self.sweep.name};"
                    f" watch them: efficiency-bench status {self.sweep.name}",
                    highlight=False,
                    soft_wrap=True,
                )
                if problem := self._launch(wave):
                    return problem
                if any(status_of(self.sweep, n).state not in FINISHED for n in wave):
                    return None  # the next wave needs their results
        return None

    def _to_be_started(self, number: int, entries_of: Callable[[Path], Sequence[Entry]]) -> bool:
        status = status_of(self.sweep, number)
        if status.entry is None:
            return status.missing
        ledger_dir = Path(self.sweep.runs[number - 1].config["ledger_dir"])
        # if the baseline was measured again, the target and with it the run has changed
        return not uses_current_baseline(status.entry, entries_of(ledger_dir))

    def _launch(self, numbers: Sequence[int]) -> str | None:
        """Submit one array of jobs and wait; returns the launcher's error, or None."""
        for number in numbers:  # clear problems and targets of earlier attempts
            status = status_of(self.sweep, number)
            kept = RunNote(run_dir=None if status.entry else status.run_dir)
            manifest.write_note(self.sweep.folder, number, kept)
        try:
            hydra_app.submit(self.launcher, self.sweep.folder, numbers, self.job)
        except UserError:
            raise
        except KeyboardInterrupt:
            stay = f"; the jobs stay in the queue, scancel --name={self.sweep.name} cancels them"
            return f"interrupted{stay if self.launcher.on_slurm else ''}"
        except Exception as error:  # submitit raises many kinds, some with whole logs in them
            refused = [line for line in str(error).splitlines() if "sbatch: error:" in line]
            if refused:
                raise UserError(
                    f"Slurm rejected the jobs: {refused[0].split('sbatch: error: ', 1)[1]}\n"
                    "set what it asks for with hydra.launcher.KEY=VALUE (docs/cluster.md)"
                ) from error
            return f"the launcher failed: {str(error).splitlines()[0]}"
        return None


def waves(sweep: Sweep, numbers: Sequence[int]) -> list[list[int]]:
    """``numbers`` grouped in the order they can start: baselines before runs that need a target."""
    configs = {number: sweep.config(number) for number in numbers}
    needing = [n for n, c in configs.items() if needs_baseline(c)]
    first = [number for number in numbers if number not in needing]
    if not any(is_baseline(configs[number]) for number in first):
        return [list(numbers)] if numbers else []
    return [wave for wave in (first, needing) if wave]


def queue(name: str) -> list[str]:
    """Ids of the user's queued jobs named ``name``.  Raises UserError if Slurm does not respond."""
    if shutil.which("sbatch") is None:
        raise UserError(
            "Slurm is not installed here (no sbatch on PATH): run this on a login node of the"
            " cluster,\nor leave the launcher out; hydra/launcher=slurm_local starts the runs here"
        )
    command = ["squeue", "--noheader", "--me", f"--name={name}", "--format=%i"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise UserError(
            f"Slurm does not respond: {asked.stderr.strip().splitlines()[-1]};\n"
            "run the command again once squeue works, or leave hydra/launcher out to train here"
        )
    return asked.stdout.split()


@contextmanager
def sacct_replacement(console: Console) -> Iterator[None]:
    """Put our sacct first on PATH if the cluster's own does not work."""
    if shutil.which("sacct") and _works(["sacct", "--noheader", "--jobs=1"]):
        yield
        return
    console.print(
        "sacct does not work here: using scontrol to query the jobs",
        highlight=False,
        soft_wrap=True,
    )
    before = os.environ["PATH"]
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "sacct"
        python = shlex.quote(sys.executable)
        ours.write_text(f'#!/bin/sh\nexec {python} -m efficiency_bench.sweep.sacct "$@"\n')
        ours.chmod(0o700)
        os.environ["PATH"] = f"{folder}:{before}"
        try:
            yield
        finally:
            os.environ["PATH"] = before


def _works(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
