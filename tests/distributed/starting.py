"""Start the processes of one run: under torchrun, or one by one so that one can be ended."""

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
    """Run ``command`` (what follows torchrun's own options) in several processes."""
    return subprocess.run(
        [BIN / "torchrun", "--standalone", f"--nproc-per-node={processes}", *command],
        cwd=cwd,
        env=ONE_THREAD,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def meeting(processes: int) -> list[dict[str, str]]:
    """What torchrun would tell each of so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    return [place | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def one_by_one(processes: int, *arguments: str, cwd: Path) -> list[Running]:
    """Start `efficiency-bench` in several processes, as torchrun would, without its watching."""
    return [Running(*arguments, cwd=cwd, **told) for told in meeting(processes)]


def together(processes: int, function: Callable[..., None], *arguments: object) -> None:
    """Call ``function`` in so many processes, which then find each other as under torchrun."""
    started = [
        WARM.Process(target=_told, args=(told, function, *arguments)) for told in meeting(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0, process


def _told(environment: dict[str, str], function: Callable[..., None], *arguments: object) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    function(*arguments)


def wait_for_line(process: Running, words: str) -> None:
    """Read the process's errors until a line that holds ``words``."""
    if not any(words in line for line in process.stderr):
        raise AssertionError(f"it never said {words!r}; exit code {process.wait()}")
