"""Trains the runs of a sweep, one after the other on this machine or through a launcher."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from efficiency_bench.config_checks import check
from efficiency_bench.errors import STOPPED, UserError
from efficiency_bench.hydra_app import Composed, Launcher
from efficiency_bench.records import Entry
from efficiency_bench.run.budgeted import LeftOut
from efficiency_bench.run.folder import in_use, locked
from efficiency_bench.run.processes import Process, this_process
from efficiency_bench.run.progress import SweepState
from efficiency_bench.run.signals import Stop, stop_on_signal
from efficiency_bench.run.terminal import Terminal, ending_line, run_with_progress
from efficiency_bench.sweep import manifest
from efficiency_bench.sweep.launch import Submission
from efficiency_bench.sweep.manifest import RunNote, Sweep
from efficiency_bench.sweep.status import RunStatus, status_of


def train_sweep(
    jobs: Sequence[Composed],
    arguments: Sequence[str],
    launcher: Launcher | None,
    here: Terminal,
    job: Callable[[Path, int], None],
    leaving: bool,
) -> tuple[tuple[Entry, ...], int]:
    """Train the runs of a sweep, which ``arguments`` describe, here or through ``launcher``.

    Returns the entries and the worst exit code; a failing run does not stop the others.  On a
    signal the current run stops after its step and no other starts.  A launcher calls ``job`` for
    each run.  Raises UserError for a mistake in any run, before the first one starts.
    """
    process = this_process()
    for number, composed in enumerate(jobs, start=1):
        try:
            check(composed.config)
        except UserError as error:
            raise UserError(f"run {number}/{len(jobs)}, so none was started: {error}") from error
    command = shlex.join(["efficiency-bench", "train", *arguments])
    sweep = manifest.planned([(composed.config, composed.overrides) for composed in jobs], command)
    if not process.is_main:
        return train_here(sweep, here, process, leaving)
    if in_use(sweep.folder):
        raise UserError(
            f"another process is training sweep {sweep.name}; watch it: efficiency-bench status"
            f" {sweep.name}\nor end it, and run the same command again"
        )
    with locked(sweep.folder):
        if launcher is None:
            manifest.write(sweep)
            return train_here(sweep, here, process, leaving)
        submission = Submission(sweep, launcher, here.console, job)
        manifest.write(sweep)
        return submitted(submission)


def train_here(
    sweep: Sweep, here: Terminal, process: Process, leaving: bool
) -> tuple[tuple[Entry, ...], int]:
    """Train the runs of a sweep one after the other, in this process.

    With several ranks, the sweep stops at the first run that fails, since the ranks may be out of
    step; running the same command again resumes there.
    """
    here.console.print(
        f"sweep {sweep.name}: efficiency-bench status shows its progress",
        highlight=False,
        soft_wrap=True,
    )
    state = SweepState(sweep.name, len(sweep.runs))
    codes: list[int] = []
    entries: list[Entry] = []
    with stop_on_signal(leaving) as stop:
        for number in sweep.numbers:
            # what interrupted a run without a signal, a failed device say, is still there
            over = stop or STOPPED in codes or (process.world_size > 1 and any(codes))
            code, entry = (STOPPED, None) if over else train_run(sweep, number, here, stop, state)
            if code != STOPPED:
                state.done += 1
                if not (here.console.is_terminal or here.as_json):
                    here.console.print(state.words(), highlight=False, soft_wrap=True)
            codes.append(code)
            entries += [] if entry is None else [entry]
        if STOPPED in codes:
            stop.hand_over()
    return tuple(entries), worst(codes)


def train_run(
    sweep: Sweep, number: int, here: Terminal, stop: Stop, state: SweepState | None = None
) -> tuple[int, Entry | None]:
    """Train or resume a run; returns its exit code, and its entry if it has one.

    A user's mistake is printed and noted, and gives exit code 2; so is a budget that pays for too
    few steps, with exit code 0.  Only rank 0 writes notes.
    """
    total = len(sweep.runs)
    note = RunNote(job=job_name(), run_dir=manifest.read_note(sweep.folder, number).run_dir)

    def begins(folder: Path) -> None:
        nonlocal note
        note = note.model_copy(update={"run_dir": str(folder)})
        manifest.write_note(sweep.folder, number, note)

    try:
        outcome = run_with_progress(
            sweep.config(number), here, stop, (number, total), begins, state
        )
    except LeftOut as error:
        reason = str(error).splitlines()[0]
        here.console.print(f"run {number}/{total} left out: {reason}", markup=False)
        _note_problem(sweep, number, note.model_copy(update={"left_out": True}), reason)
        return 0, None
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


def submitted(submission: Submission) -> tuple[tuple[Entry, ...], int]:
    """Train the runs of a sweep through a launcher; the results are read from their files."""
    problem = submission.run()
    console = submission.console
    statuses = [status_of(submission.sweep, number) for number in submission.sweep.numbers]
    for status in statuses:
        console.print(outcome_line(status), highlight=False, markup=False, soft_wrap=True)
    if problem is not None:
        console.print(problem, highlight=False, markup=False, soft_wrap=True)
    if any(status.missing for status in statuses):
        console.print(submission.how_to_continue, highlight=False, markup=False, soft_wrap=True)
    entries = tuple(status.entry for status in statuses if status.entry is not None)
    return entries, worst([status.exit_code for status in statuses])


def outcome_line(status: RunStatus) -> str:
    """One-line summary of a run."""
    if status.entry is not None:
        return ending_line(status.entry)
    return f"  {status.name}: {status.state}{f', {status.detail}' if status.detail else ''}"


def worst(codes: Sequence[int]) -> int:
    """The exit code of several runs: stopped before user's mistake before fault before 0."""
    return next((code for code in (STOPPED, 2, 1) if code in codes), 0)
