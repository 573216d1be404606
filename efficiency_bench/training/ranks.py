"""Collective operations and batch norm over the processes (ranks) that train one run.

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
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from efficiency_bench.data.loader import WHOLE_BATCH, Shard
from efficiency_bench.errors import UserError

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
        # the buffers, of synchronised batch norm, are the same on all ranks
        wrapped = DistributedDataParallel(
            model, broadcast_buffers=False, gradient_as_bucket_view=True
        )
        return model, wrapped

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
        received: dict[str, Any] | None = json.loads(content.cpu().numpy().tobytes())
        return received


SINGLE_PROCESS = Ranks()
"""World size 1."""


def synchronise_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with each batch norm using the statistics of all ranks.

    Torch's SyncBatchNorm runs on CUDA only; on a CPU ``GlobalBatchNorm2d`` replaces it.  The
    names of weights and buffers do not change.  Raises UserError for any other kind of batch norm
    (one with a built-in activation, for instance, would lose it).
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and type(module) is not nn.BatchNorm2d:
            raise UserError(
                f"{name} is a {type(module).__name__}, which cannot be synchronised between"
                " processes; train this network with a single process"
            )
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _globalised(child))
    return model


def _globalised(norm: nn.BatchNorm2d) -> GlobalBatchNorm2d:
    """A GlobalBatchNorm2d that shares ``norm``'s weights and buffers."""
    replacement = GlobalBatchNorm2d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    replacement.weight, replacement.bias = norm.weight, norm.bias
    replacement.running_mean, replacement.running_var = norm.running_mean, norm.running_var
    replacement.num_batches_tracked = norm.num_batches_tracked
    replacement.training = norm.training
    return replacement


class _AllReduceSum(torch.autograd.Function):
    """The sum over all ranks; the backward pass sums the gradients of all ranks."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def all_reduce_sum(value: Tensor) -> Tensor:
    """The differentiable sum of ``value`` over all ranks."""
    total: Tensor = _AllReduceSum.apply(value)
    return total


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d with the mean and variance over the images of all ranks."""

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images [B, C, H, W], where B is this rank's shard."""
        if not self.training:
            return super().forward(images)
        if images.dtype is torch.bfloat16:  # statistics in float32, as torch's own norms do
            return self.forward(images.float()).bfloat16()
        over = (0, 2, 3)
        values = all_reduce_sum(images.new_tensor(images.numel() / images.shape[1]))
        mean = all_reduce_sum(images.sum(over)) / values
        centred = images - mean[:, None, None]
        variance = all_reduce_sum(centred.square().sum(over)) / values
        self._update_running_statistics(mean.detach(), variance.detach() * values / (values - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normalised = centred * scale[:, None, None]
        return normalised + self.bias[:, None, None] if self.affine else normalised

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """Update the running statistics, used in evaluation, as nn.BatchNorm2d does."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # a plain average over all batches
            momentum = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased_variance, momentum)
