"""Overhead of the harness: seconds per step and peak memory of a whole run against a bare loop.

Ours is a run as `train` makes it: event log on the disk, meter, schedule, and the progress
display of a terminal.  The bare loop trains the same network on the same batches with the same
augmentation and optimizer, in as few lines as possible.  Blocks of both alternate, so that a noisy
machine slows both; the median ratio of the pairs is reported.  The time of evaluations is
subtracted, and no checkpoint is written.  Each of several rounds rebuilds both sides, since memory
placement alone makes either one percent faster or slower.

Peak memory is the largest resident set of a process that makes MEMORY_STEPS steps of one side and
nothing else.  Both import the harness, whose data the bare loop uses.

    python benchmarks/overhead.py [--json] [--only seconds|memory]
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from blocks import BLOCK_STEPS, job, seconds_of, settings
from rich.console import Console
from rows import Pair, Row, interleaved, row, show

from efficiency_bench.run.run import run
from efficiency_bench.run.terminal import RunProgress
from efficiency_bench.training.trainer import Job

EXPERIMENT = "resnet18"
ROUNDS = 8
PAIRS_A_ROUND = 8
MEMORY_PAIRS = 5
MEMORY_STEPS = 3 * BLOCK_STEPS
"""An epoch of digits and an evaluation: 45 steps."""
WITHOUT = ("target.value=1.0", "evaluation.per_epoch_near=1", "checkpoint_share=0")
"""A run that evaluates as seldom as one can, and writes no checkpoint before it is stopped."""


def bare(run: Job) -> Iterator[None]:
    """Train the same network on the same batches in as few lines as possible."""
    optimizer = torch.optim.SGD(
        run.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True
    )
    run.model.train()
    steps = 0
    for epoch in itertools.count():
        for images, labels in run.data.train.epoch(epoch, run.recipe.batch_size, run.image_px):
            optimizer.zero_grad()
            F.cross_entropy(run.model(images), labels).backward()
            optimizer.step()
            steps += 1
            if steps % BLOCK_STEPS == 0:
                yield


class Turns:
    """Time the blocks of a run, and run blocks of the bare loop between them.

    Every other time the bare loop goes first: ours, bare, bare, ours, and so on.
    """

    def __init__(self, other: Iterator[None], pairs: int) -> None:
        self._other = other
        self._pairs = pairs
        self._ours: list[float] = []
        self._others: list[float] = []
        self._began = time.perf_counter()
        self._evaluating = 0.0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Handle one event of the run, after the terminal."""
        if event["event"] == "evaluation":
            self._evaluating += event["evaluation_seconds"]
        if event["event"] == "progress" and event["steps"] % BLOCK_STEPS == 0:
            taken = time.perf_counter() - self._began - self._evaluating
            self._ours.append(taken / BLOCK_STEPS)
            warming_up, even = len(self._ours) == 1, len(self._ours) % 2 == 0
            for _ in range(1 if warming_up else 2 * even):
                self._others.append(seconds_of(self._other))
            self._began, self._evaluating = time.perf_counter(), 0.0

    def close(self) -> None:
        """Nothing to close."""

    def over(self) -> bool:
        """Whether enough blocks were timed."""
        return len(self._ours) > self._pairs

    def pairs(self) -> list[Pair]:
        """Seconds a step of both, without the blocks that warmed them up."""
        return list(zip(self._ours[1:], self._others[1:], strict=True))


def one_round(number: int, folder: Path) -> list[Pair]:
    """Run both sides from scratch, with the run in ``folder``."""
    turns = Turns(bare(job(EXPERIMENT)), PAIRS_A_ROUND)
    asked = settings(EXPERIMENT, f"seed={number}", *WITHOUT)
    asked.run_dir, asked.ledger_dir = str(folder / f"{number}"), str(folder / "ledger")
    with Path(os.devnull).open("w") as screen:
        terminal = RunProgress(Console(file=screen, force_terminal=True, width=80))
        run(asked, lambda _: (terminal, turns), stop_requested=turns.over)
    return turns.pairs()


class Steps:
    """Counts the steps of a run."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Handle one event of the run."""
        if event["event"] == "progress":
            self._made = event["steps"]

    def close(self) -> None:
        """Nothing to close."""

    def enough(self) -> bool:
        """Whether the run has made MEMORY_STEPS."""
        return self._made >= MEMORY_STEPS


def train_ours() -> None:
    """Make MEMORY_STEPS steps of a run as `train` makes it."""
    steps = Steps()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as screen:
        asked = settings(EXPERIMENT, "seed=0", *WITHOUT)
        asked.run_dir, asked.ledger_dir = f"{folder}/run", f"{folder}/ledger"
        terminal = RunProgress(Console(file=screen, force_terminal=True, width=80))
        run(asked, lambda _: (terminal, steps), stop_requested=steps.enough)


def train_bare() -> None:
    """Make MEMORY_STEPS steps of the bare loop."""
    blocks = bare(job(EXPERIMENT))
    for _ in range(MEMORY_STEPS // BLOCK_STEPS):
        next(blocks)


SIDES = {"ours": train_ours, "bare": train_bare}


def peak_mib(side: str) -> float:
    """The largest resident set, in MiB, of a process that trains one side."""
    process = subprocess.Popen([sys.executable, __file__, "--train", side])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"training {side} failed; see its output")
    return usage.ru_maxrss / 1024  # Linux counts KiB


def seconds_row() -> Row:
    """Seconds per step, over several rounds."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = [one_round(number, Path(folder)) for number in range(ROUNDS)]
    return row(f"overhead/{EXPERIMENT}", "seconds a step", list(itertools.chain(*rounds)))


def memory_row() -> Row:
    """Peak resident memory."""
    pairs = interleaved(lambda: peak_mib("ours"), lambda: peak_mib("bare"), MEMORY_PAIRS)
    return row(f"overhead/{EXPERIMENT}, peak resident memory", "MiB", list(pairs))


ROWS = {"seconds": seconds_row, "memory": memory_row}


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=ROWS, help="one of the rows")
    parser.add_argument("--train", choices=SIDES, help="train one side, to measure its memory")
    asked = parser.parse_args()
    if asked.train:
        return SIDES[asked.train]()
    show((ROWS[name]() for name in ROWS if asked.only in (None, name)), asked.json)


if __name__ == "__main__":
    main()
