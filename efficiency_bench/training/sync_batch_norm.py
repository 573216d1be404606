"""Batch norm over the global batch, at any world size."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from efficiency_bench.errors import UserError


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
