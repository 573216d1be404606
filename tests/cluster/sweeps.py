"""Plays a user of a cluster: types commands and watches runs through their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from efficiency_bench.ledger.events import read_events
from tests.tiny import TINY

RUN = ("experiment=alexnet", "recipe.batch_size=16", "recipe.epochs=20", "target.value=1.0")
"""380 steps: a few seconds of training, long enough to interrupt."""

QUIET = ("tracking.wandb=false",)
SLURM = (
    "hydra/launcher=slurm",
    "hydra.launcher.timeout_min=5",
    "hydra.launcher.gpus_per_node=null",
    "hydra.launcher.cpus_per_task=1",
)
LONGEST_SECONDS = 300
"""Timeout for a busy machine; on an idle one every wait ends within seconds."""


class Cluster:
    """A folder, and the environment of the commands typed there."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        scripts = Path(sys.executable).parent
        path = f"{scripts}:{environment['PATH']}"
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.environment = {**environment, **threads, "PATH": path, "COLUMNS": "80"}
        self.started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        if "SLURM_CONF" in self.environment:
            self.typed("scancel", "--me")
            until(lambda: not self.typed("squeue", "--noheader").stdout)

    def typed(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for it."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Type ``efficiency-bench train -m`` and do not wait for it.

        It is the leader of its process group, as under a shell.
        """
        process = subprocess.Popen(
            ["efficiency-bench", "train", "-m", *TINY, *QUIET, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self.started.append(process)
        return process

    def ended(self, process: subprocess.Popen[str]) -> str:
        """The output of the command, after it has ended."""
        output, _ = process.communicate(timeout=LONGEST_SECONDS)
        assert "Traceback" not in output, output
        return output

    def status(self) -> dict[str, Any]:
        """The output of ``efficiency-bench status --json`` for the latest sweep."""
        result = self.typed("efficiency-bench", "status", "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def events(self, run_dir: str) -> list[Mapping[str, Any]]:
        """The events of a run so far, which may be running."""
        log = self.folder / run_dir / "events.jsonl"
        return list(read_events(log).events) if log.exists() else []

    def evaluated(self, run_dir: str) -> bool:
        """Whether a run has evaluated once, and so is in the middle of training."""
        return any(event["event"] == "evaluation" for event in self.events(run_dir))

    def job_of(self, run_number: int) -> str:
        """The Slurm job that trains a run, from the run's note."""
        (folder,) = (self.folder / "runs" / "sweeps").iterdir()
        return str(json.loads((folder / f"{run_number}.json").read_text())["job"])

    def kinds(self, run_dir: str) -> list[str]:
        """A run's events except those that only report progress."""
        events = (event["event"] for event in self.events(run_dir))
        return [kind for kind in events if kind not in ("progress", "evaluation")]


def until(condition: Callable[[], object], seconds: float = LONGEST_SECONDS) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not the case after {seconds} s"
        time.sleep(0.1)


def plain_environment() -> dict[str, str]:
    """The environment of a machine without Slurm's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
