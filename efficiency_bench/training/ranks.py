"""The processes that train one run together: what they add up, agree on and tell each other.

A run of one process and one of several measure the same thing: every step takes the same whole
batch, its loss is the mean over all of it, and batch norm sees all of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from efficiency_bench.data.loader import WHOLE_BATCH, Shard
from efficiency_bench.training.sync_batch_norm import synchronise_batch_norm

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """This process among those of its run; alone, nothing is ever sent."""

    share: Shard = WHOLE_BATCH
    device: torch.device = CPU
    """Where numbers must lie to be sent: NCCL takes them from the GPU."""

    @property
    def alone(self) -> bool:
        """Whether the run has no other process."""
        return self.share.world_size == 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes everything down."""
        return self.share.rank == 0

    def parallel(self, model: nn.Module) -> tuple[nn.Module, nn.Module]:
        """``model`` with batch norm over all processes, and its form that averages gradients.

        The weights of the first process are copied to all.
        """
        if self.alone:
            return model, model
        model = synchronise_batch_norm(model, self.device)
        return model, DistributedDataParallel(model)

    def weight(self, images: int, whole: int) -> float:
        """By what the mean loss over ``images`` of a batch of ``whole`` counts here.

        Averaged over the processes, the weighted losses give the mean over the whole batch,
        whatever the sizes of the shares.
        """
        return images * self.share.world_size / whole

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """The sum of every process's ``value``."""
        if self.alone:
            return value
        value = value.to(self.device, copy=True)
        dist.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process; waits for the device."""
        return bool(self.all_reduce_sum(torch.tensor(float(flag)))) if not self.alone else flag

    def broadcast(self, message: dict[str, Any] | None) -> dict[str, Any] | None:
        """The first process's ``message``, in every process; sent as JSON."""
        if self.alone:
            return message
        text = json.dumps(message).encode() if self.is_main else b""
        length = torch.tensor(len(text), device=self.device)
        dist.broadcast(length, src=0)
        content = torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        if self.is_main:
            content.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        dist.broadcast(content, src=0)
        received: dict[str, Any] | None = json.loads(bytes(content.tolist()))
        return received


ALL_HERE = Ranks()
"""A run of one process."""
