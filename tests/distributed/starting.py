"""Start the processes of one run: under torchrun, or one by one so that one can be ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.commands import Running

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


def one_by_one(processes: int, *arguments: str, cwd: Path) -> list[Running]:
    """Start `efficiency-bench` in several processes, as torchrun would, without its watching."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    return [
        Running(*arguments, cwd=cwd, **meeting, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(processes)
    ]


def wait_for_line(process: Running, words: str) -> None:
    """Read the process's errors until a line that holds ``words``."""
    if not any(words in line for line in process.stderr):
        raise AssertionError(f"it never said {words!r}; exit code {process.wait()}")
