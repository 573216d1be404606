"""Trains one run of a sweep, given its number."""

from __future__ import annotations

import os
from pathlib import Path

from efficiency_bench.errors import UserError
from efficiency_bench.records import Entry
from efficiency_bench.run.processes import this_process
from efficiency_bench.run.signals import Stop
from efficiency_bench.run.terminal import Terminal, run_with_progress
from efficiency_bench.sweep import manifest
from efficiency_bench.sweep.manifest import RunNote, Sweep


def train_run(sweep: Sweep, number: int, here: Terminal, stop: Stop) -> tuple[int, Entry | None]:
    """Train or resume a run; returns its exit code, and its entry if it has one.

    A user's mistake is printed and noted, and gives exit code 2.  Only rank 0 writes notes.
    """
    total = len(sweep.runs)
    note = RunNote(job=job_name(), run_dir=manifest.read_note(sweep.folder, number).run_dir)

    def begins(folder: Path) -> None:
        nonlocal note
        note = note.model_copy(update={"run_dir": str(folder)})
        manifest.write_note(sweep.folder, number, note)

    try:
        outcome = run_with_progress(sweep.config(number), here, stop, (number, total), begins)
    except UserError as error:
        here.console.print(f"run {number}/{total}: {error}", markup=False)
        _note_problem(sweep, number, note, str(error))
        return 2, None
    except Exception as error:
        _note_problem(sweep, number, note, f"{type(error).__name__}: {error}")
        raise
    if outcome.entry is None:
        return outcome.exit_code, None
    note = note.model_copy(update={"run_id": outcome.entry.run_id})
    manifest.write_note(sweep.folder, number, note)
    return outcome.exit_code, outcome.entry


def job_name() -> str | None:
    """The Slurm job id, ``<array>_<index>`` in an array; None outside Slurm."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def _note_problem(sweep: Sweep, number: int, note: RunNote, problem: str) -> None:
    if not this_process().is_main:
        return
    noted = note.model_copy(update={"problem": problem})
    manifest.write_note(sweep.folder, number, noted)
