"""Ranks that wait for each other in a collective; each runs in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.distributed as dist

from efficiency_bench.run import heartbeat, processes

QUICK = {"BEAT_SECONDS": 0.05, "PATIENCE_SECONDS": 1.0}


def _joined() -> processes.Process:
    for name, value in QUICK.items():
        setattr(heartbeat, name, value)
    process = processes.this_process()
    processes.join(process, "cpu")
    return process


def wait_in_vain(folder: Path) -> None:
    """Ranks 0 and 1 wait for a message from each other; rank 2, which gets killed, sleeps.

    No connection to rank 2 is used, so gloo does not notice its death, as NCCL would not.
    """
    rank = _joined().rank
    (folder / f"ready-{rank}").touch()
    if rank == 2:
        time.sleep(600)
    try:
        dist.recv(torch.zeros(1), src=1 - rank)
    except RuntimeError:  # gloo notices that the other rank has exited; NCCL would not
        time.sleep(600)


def leave_early(folder: Path) -> None:
    """Rank 1 exits as agreed; rank 0 works on for longer than the heartbeat timeout."""
    rank = _joined().rank
    if rank == 0:
        until = time.monotonic() + 3 * QUICK["PATIENCE_SECONDS"]
        while time.monotonic() < until:
            sum(range(1000))
    processes.leave()
    (folder / f"left-{rank}").touch()


def give_up(folder: Path) -> None:
    """Rank 1 fails and exits; rank 0 waits for it."""
    rank = _joined().rank
    (folder / f"ready-{rank}").touch()
    if rank == 1:
        processes.fall_silent()
        (folder / "given-up").touch()
        time.sleep(600)
    dist.recv(torch.zeros(1), src=1)
