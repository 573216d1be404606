"""Real configurations shrunk to seconds: composed by Hydra, trained for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module

from efficiency_bench import config, hydra_app  # noqa: F401  (registers the schema)
from efficiency_bench.config import RunConfig

TINY = ("data=digits", "data.train_images=300", "data.val_images=100", "device=cpu", "threads=1")


def composed(*overrides: str) -> RunConfig:
    """What the command line would make of ``overrides``."""
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        return config.load(compose("train", overrides=list(overrides)))


def tiny(folder: Path, *overrides: str) -> RunConfig:
    """A run on 300 digits, its run folder and ledger in ``folder``."""
    places = (f"ledger_dir={folder / 'ledger'}", "tracking.wandb=false")
    return composed(*TINY, *places, *overrides)


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command line as a user would, in ``cwd``."""
    program = Path(sys.executable).with_name("efficiency-bench")
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def started(
    folder: Path, *arguments: str, start_new_session: bool = False
) -> subprocess.Popen[str]:
    """A run as a process of its own, as soon as it has shown its first evaluation."""
    program = Path(sys.executable).with_name("efficiency-bench")
    process = subprocess.Popen(
        [program, "train", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch" in line and "left" in line:
            return process
    raise AssertionError(f"it never trained; exit code {process.wait()}")
