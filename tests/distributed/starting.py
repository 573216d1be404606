"""Starts the ranks of one run: under torchrun, or one by one so that one can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from tests.commands import PATIENCE_SECONDS, WARM, Running

BIN = Path(sys.executable).parent
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def torchrun(
    processes: int, *command: str | Path, cwd: Path = Path()
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` (the arguments after torchrun's own options) in several processes."""
    return subprocess.run(
        [BIN / "torchrun", "--standalone", f"--nproc-per-node={processes}", *command],
        cwd=cwd,
        env=ONE_THREAD,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def rank_environments(processes: int) -> list[dict[str, str]]:
    """The variables that torchrun sets for each of ``processes`` ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    return [place | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def one_by_one(processes: int, *arguments: str, cwd: Path) -> list[Running]:
    """Start `efficiency-bench` in several processes, like torchrun but without supervision."""
    return [Running(*arguments, cwd=cwd, **variables) for variables in rank_environments(processes)]


def together(processes: int, function: Callable[..., None], *arguments: object) -> None:
    """Call ``function`` in ``processes`` ranks, which can join as under torchrun."""
    started = [
        WARM.Process(target=_with_environment, args=(variables, function, *arguments))
        for variables in rank_environments(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0, process


def _with_environment(
    environment: dict[str, str], function: Callable[..., None], *arguments: object
) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    function(*arguments)


def wait_for_line(process: Running, words: str) -> None:
    """Read the process's stderr up to a line that contains ``words``."""
    if not any(words in line for line in process.stderr):
        raise AssertionError(f"it never printed {words!r}; exit code {process.wait()}")
