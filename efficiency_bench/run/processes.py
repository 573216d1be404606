"""Rank and world size as set by torchrun or Slurm, and joining the process group."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from efficiency_bench.errors import STOPPED, UserError
from efficiency_bench.run.heartbeat import Heartbeat

if TYPE_CHECKING:
    from efficiency_bench.training.ranks import Ranks

JOIN_TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others before it fails: gloo's own default.  The longest wait is
for the other ranks to list a large image folder."""

_heartbeat: Heartbeat | None = None

RANK_DIED = "another rank died (see its output); run the same command again to resume"

RANK_DIED_MESSAGES = ("gloo", "NCCL", "Connection reset by peer", "Connection closed by peer")
"""Words that identify torch's error message about a rank that died."""


@dataclass(frozen=True)
class Process:
    """One process of a run: its rank, the world size, and its rank on its machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    meeting_point: str = "env://"
    """``init_method`` of torch.distributed."""
    one_machine: bool = True
    """Whether all ranks run on the same machine."""

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def __str__(self) -> str:
        return f"process {self.rank} of {self.world_size}"


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """This process as set by torchrun, else by a Slurm step, else a single process.

    A Slurm batch script that starts the command without srun is one process, however many tasks
    the job has: only the variables of a step count.
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
        # with one machine, its name need not resolve
        meeting_point=f"tcp://{'127.0.0.1' if one_machine else _first_node(found)}:{_port(found)}",
        one_machine=one_machine,
    )


def _first_node(found: Mapping[str, str]) -> str:
    """The host name of the node of rank 0."""
    names = subprocess.run(
        ["scontrol", "show", "hostnames", found["SLURM_STEP_NODELIST"]],
        capture_output=True,
        text=True,
        check=True,
    )
    return names.stdout.split()[0]


def _port(found: Mapping[str, str]) -> int:
    """A port that all ranks of a step derive alike, different for every step and restart."""
    keys = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    return 20000 + random.Random(" ".join(found.get(key, "") for key in keys)).randrange(20000)


def join(process: Process, device: str) -> Ranks:
    """Join the process group, once; if ``device`` is cuda, each rank selects its own GPU.

    Raises UserError if the ranks do not find each other.
    """
    import torch
    import torch.distributed as dist

    from efficiency_bench.data.loader import Shard
    from efficiency_bench.training.ranks import Ranks

    global _heartbeat
    if process.world_size == 1:
        return Ranks(device=torch.device(device))
    if device == "cuda":
        torch.cuda.set_device(card_of(process, torch.cuda.device_count()))
    if not dist.is_initialized():
        if process.one_machine and sys.platform == "linux":
            # gloo would look up its interface by host name, which may not resolve
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        rank, world_size = process.rank, process.world_size
        try:
            url = process.meeting_point
            store, _, _ = next(dist.rendezvous(url, rank, world_size, timeout=JOIN_TIMEOUT))
            if device == "cuda":
                store.set(f"card/{rank}", str(torch.cuda.get_device_properties().uuid))
                cards = store.multi_get([f"card/{other}" for other in range(world_size)])
                check_cards(cards)
            _heartbeat = Heartbeat(store.clone(), rank, world_size, _end_without)
            backend = "nccl" if device == "cuda" else "gloo"
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=world_size, timeout=JOIN_TIMEOUT
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"{process} could not join the others: {str(error).splitlines()[0]};\n"
                "start all of them with torchrun or srun, and check that rank 0 can be reached"
            ) from error
    return Ranks(Shard(process.rank, process.world_size), torch.device(device))


def card_of(process: Process, visible: int) -> int:
    """The number of this rank's GPU among the ``visible`` ones; UserError if there are too few.

    A scheduler may show each rank only its own GPU; torchrun shows all of them to each.
    """
    if process.local_rank < visible:
        return process.local_rank
    if visible == 1 and process.meeting_point != "env://":
        return 0
    raise UserError(
        f"process {process.local_rank} of this machine has no GPU: torch finds {visible};"
        f" start one process per GPU (torchrun --nproc-per-node={visible}, or srun with as many"
        " tasks as GPUs)"
    )


def check_cards(cards: Sequence[bytes]) -> None:
    """Raise UserError if two ranks have the same GPU, which NCCL refuses.

    ``cards`` are the ranks' GPUs by an identifier that no two GPUs share.
    """
    first = {card: rank for rank, card in reversed(list(enumerate(cards)))}
    for rank, card in enumerate(cards):
        if first[card] != rank:
            raise UserError(
                f"processes {first[card]} and {rank} have the same GPU; start one process per GPU"
                " (srun with as many tasks as GPUs, --gpus-per-task=1)"
            )


def _end_without(rank: int) -> None:
    """End this process, whose main thread may wait for ``rank`` in a collective for ever."""
    print(f"efficiency-bench: rank {rank} is silent: {RANK_DIED}", file=sys.stderr, flush=True)
    os._exit(STOPPED)


def fall_silent() -> None:
    """Stop the heartbeat: this rank ends alone, and the others must not wait for it."""
    if _heartbeat is not None:
        _heartbeat.close(finished=False)


def leave() -> None:
    """Leave the process group; a rank that still waits for this one gets an error.

    Without an exception on its way, and without ``fall_silent``, the ranks have agreed to end.
    """
    global _heartbeat
    if _heartbeat is not None:
        _heartbeat.close(finished=sys.exception() is None)
        _heartbeat = None
    if joined():
        import torch.distributed as dist

        dist.destroy_process_group()


def joined() -> bool:
    """Whether this process has joined the process group."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_initialized()


def is_lost_process(error: BaseException, ranks: Ranks) -> bool:
    """Whether ``error`` means that another rank of the run died."""
    return not ranks.alone and any(word in str(error) for word in RANK_DIED_MESSAGES)
