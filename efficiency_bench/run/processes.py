"""Which of a run's processes this is, as torchrun or Slurm started it; and joining the others."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from efficiency_bench.errors import UserError

if TYPE_CHECKING:
    from efficiency_bench.training.ranks import Ranks

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others before it gives up: gloo's own default.  The longest
wait is for the others to list a large folder of images."""

GONE = "another process of this run has gone (see what it said); the same command goes on"

LOST = ("gloo", "NCCL", "Connection reset by peer", "Connection closed by peer")
"""Words by which torch's message about a process that has gone can be told."""


@dataclass(frozen=True)
class Process:
    """Number ``rank`` (from 0) of ``of``, number ``local_rank`` on its machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    meeting_point: str = "env://"
    """Where the processes find each other, in torch.distributed's terms."""
    one_machine: bool = True
    """Whether all of them run on it."""

    @property
    def is_main(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def __str__(self) -> str:
        return f"process {self.rank} of {self.world_size}"


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """What torchrun's variables say, else those of a Slurm step, else the only process.

    A Slurm batch script that starts the command without srun is one process, however many tasks
    the job has: only a step's own variables count.
    """
    found = environment
    if "RANK" in found and "WORLD_SIZE" in found:
        rank, of = int(found["RANK"]), int(found["WORLD_SIZE"])
        here = int(found.get("LOCAL_WORLD_SIZE", of))
        return Process(rank, of, int(found.get("LOCAL_RANK", rank)), one_machine=here == of)
    of = int(found.get("SLURM_STEP_NUM_TASKS", 1))
    if of == 1 or "SLURM_PROCID" not in found:
        return Process()
    one_machine = found.get("SLURM_STEP_NUM_NODES", "1") == "1"
    return Process(
        rank=int(found["SLURM_PROCID"]),
        world_size=of,
        local_rank=int(found["SLURM_LOCALID"]),
        # the name of a machine that has all of them need not resolve
        meeting_point=f"tcp://{'127.0.0.1' if one_machine else _first_node(found)}:{_port(found)}",
        one_machine=one_machine,
    )


def _first_node(found: Mapping[str, str]) -> str:
    """The name of the node of the first process."""
    names = subprocess.run(
        ["scontrol", "show", "hostnames", found["SLURM_STEP_NODELIST"]],
        capture_output=True,
        text=True,
        check=True,
    )
    return names.stdout.split()[0]


def _port(found: Mapping[str, str]) -> int:
    """The same in every process of a step, another one for every step and every restart."""
    keys = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    return 20000 + random.Random(" ".join(found.get(key, "") for key in keys)).randrange(20000)


def join(process: Process, device: str) -> Ranks:
    """Meet the other processes, once; each takes a GPU of its own where ``device`` is cuda.

    Raises UserError where they do not meet.
    """
    import torch
    import torch.distributed as dist

    from efficiency_bench.data.loader import Shard
    from efficiency_bench.training.ranks import Ranks

    if process.world_size == 1:
        return Ranks(device=torch.device(device))
    if device == "cuda":
        # a scheduler may show each process its own GPU only
        torch.cuda.set_device(process.local_rank % torch.cuda.device_count())
    if not dist.is_initialized():
        if process.one_machine and sys.platform == "linux":
            # gloo would look for an interface by the machine's name, which may not resolve
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        try:
            dist.init_process_group(
                "nccl" if device == "cuda" else "gloo",
                init_method=process.meeting_point,
                rank=process.rank,
                world_size=process.world_size,
                timeout=PATIENCE,
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"{process} did not meet the others: {str(error).splitlines()[0]};\n"
                "start all of them with torchrun or srun, and see that the first can be reached"
            ) from error
    return Ranks(Shard(process.rank, process.world_size), torch.device(device))


def leave() -> None:
    """Part from the others; a process that still waits for this one hears of it."""
    if joined():
        import torch.distributed as dist

        dist.destroy_process_group()


def joined() -> bool:
    """Whether this process has met the others of its run."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_initialized()


def is_lost_process(error: BaseException, ranks: Ranks) -> bool:
    """Whether ``error`` says that another process of the run has gone."""
    return not ranks.alone and any(word in str(error) for word in LOST)
