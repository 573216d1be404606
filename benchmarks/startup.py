"""Startup time of commands, measured on whole processes.

`--help`, `fit published` and a plan of sixteen networks run to their end; `train` to its first
step, by the time that its event log gives for it.  Each stands beside a bare interpreter, or one
that imports torch and nothing else; both run in turn.  One row only imports the modules that `fit`
imports.

    python benchmarks/startup.py [--pairs N] [--json]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from rows import Row, interleaved, row, show

PROGRAM = str(Path(sys.executable).with_name("efficiency-bench"))
ONE_STEP = [
    "train",
    "experiment=resnet18",
    "data=digits",
    "device=cpu",
    "target.value=0.9",
    "recipe.epochs=0.02",
    "tracking.wandb=false",
    "run_dir=run",
]
"""A schedule of one step: 1,437 images in batches of 32 are 45 steps an epoch."""

FIT_IMPORTS = (
    "import efficiency_bench.cli, efficiency_bench.fitting.fit;"
    "from efficiency_bench.report.tables import fit_and_ledger, robustness"
)
"""What `fit` imports to print its result."""


PLAN = ["plan", "suite=paper", "data=imagenet", "hardware=h100x8"]


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(rows(Path(folder), asked.pairs), asked.json)


def rows(folder: Path, pairs: int) -> Iterator[Row]:
    """Return one row per command; the first process of each kind only warms the page cache."""

    def python(code: str) -> Callable[[], float]:
        return lambda: seconds([sys.executable, "-c", code], folder)

    comparisons = {
        "startup/--help against python": (whole(folder, "--help"), python("pass")),
        "startup/imports of fit against python": (python(FIT_IMPORTS), python("pass")),
        "startup/fit published against python": (whole(folder, "fit", "published"), python("pass")),
        "startup/plan suite=paper against python": (whole(folder, *PLAN), python("pass")),
        "startup/first step, counting, against import torch": (
            lambda: until_first_step(folder),
            python("import torch"),
        ),
    }
    for name, (ours, other) in comparisons.items():
        ours(), other()
        yield row(name, "seconds", list(interleaved(ours, other, pairs)))


def whole(folder: Path, *arguments: str) -> Callable[[], float]:
    """The command from its start to its end."""
    return lambda: seconds([PROGRAM, *arguments], folder)


def seconds(command: list[str], folder: Path) -> float:
    """Return the seconds that a process takes; CalledProcessError if it fails."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - began


def until_first_step(folder: Path) -> float:
    """Seconds from the start of a training process to the end of its first step."""
    for name in ("run", "runs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    began = time.time()
    seconds([PROGRAM, *ONE_STEP], folder)
    lines = (folder / "run" / "events.jsonl").read_text().splitlines()
    first = next(e for e in map(json.loads, lines) if e["event"] == "progress")
    assert first["steps"] == 1, first
    return datetime.fromisoformat(first["time_utc"]).timestamp() - began


if __name__ == "__main__":
    main()
