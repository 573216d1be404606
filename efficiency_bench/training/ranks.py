"""Collective operations among the processes (ranks) that train one run.

A run measures the same thing at any world size: every step takes the same global batch, the loss
is the mean over it, and batch norm uses the statistics of all of it.
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
    """This process among those of its run; at world size 1 nothing is communicated."""

    shard: Shard = WHOLE_BATCH
    device: torch.device = CPU
    """Device of the tensors that are communicated: NCCL needs them on the GPU."""

    @property
    def alone(self) -> bool:
        """Whether the world size is 1."""
        return self.shard.world_size == 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which writes the log, the checkpoints and the entry."""
        return self.shard.rank == 0

    def parallel(self, model: nn.Module) -> tuple[nn.Module, nn.Module]:
        """``model`` with synchronised batch norm, alone and wrapped for averaging gradients.

        Rank 0's weights are broadcast to the other ranks.
        """
        if self.alone:
            return model, model
        model = synchronise_batch_norm(model, self.device)
        return model, DistributedDataParallel(model)

    def weight(self, images: int, global_batch_size: int) -> float:
        """Weight of this rank's mean loss over its ``images`` of the global batch.

        The weighted losses, averaged over the ranks, give the mean over the global batch,
        whatever the sizes of the shards.
        """
        return images * self.shard.world_size / global_batch_size

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """The sum of ``value`` over all ranks."""
        if self.alone:
            return value
        value = value.to(self.device, copy=True)
        dist.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set on any rank; waits for the device."""
        return bool(self.all_reduce_sum(torch.tensor(float(flag)))) if not self.alone else flag

    def broadcast(self, message: dict[str, Any] | None) -> dict[str, Any] | None:
        """Rank 0's ``message``, on every rank; sent as JSON."""
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


SINGLE_PROCESS = Ranks()
"""World size 1."""
