"""Batch norm over the whole batch of a step, however many processes share it."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from efficiency_bench.errors import UserError


def synchronise_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with each batch norm taking its statistics over all processes.

    Torch's own does it on CUDA and on no other device; a CPU gets ``WholeBatchNorm2d``.  The
    names of weights and buffers stay.  Raises UserError for a layer that is a batch norm of
    another kind (one that holds an activation, for instance, would lose it).
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and type(module) is not nn.BatchNorm2d:
            raise UserError(
                f"{name} is a {type(module).__name__}, which cannot be shared by several"
                " processes; train this network in one"
            )
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _whole(child))
    return model


def _whole(norm: nn.BatchNorm2d) -> WholeBatchNorm2d:
    """A WholeBatchNorm2d that shares ``norm``'s weights and buffers."""
    whole = WholeBatchNorm2d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    whole.weight, whole.bias = norm.weight, norm.bias
    whole.running_mean, whole.running_var = norm.running_mean, norm.running_var
    whole.num_batches_tracked = norm.num_batches_tracked
    whole.training = norm.training
    return whole


class _Summed(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

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
    """The sum of every process's ``value``, through which gradients flow."""
    total: Tensor = _Summed.apply(value)
    return total


class WholeBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose mean and variance are those of all processes' images together."""

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images [B, C, H, W], B of this process."""
        if not self.training:
            return super().forward(images)
        over = (0, 2, 3)
        values = all_reduce_sum(images.new_tensor(images.numel() / images.shape[1]))
        mean = all_reduce_sum(images.sum(over)) / values
        centred = images - mean[:, None, None]
        variance = all_reduce_sum(centred.square().sum(over)) / values
        self._remember(mean.detach(), variance.detach() * values / (values - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        normalised = centred * scale[:, None, None]
        return normalised + self.bias[:, None, None] if self.affine else normalised

    @torch.no_grad()
    def _remember(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """Move the running statistics, used in evaluation, as nn.BatchNorm2d does."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # a plain average over all batches
            momentum = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased_variance, momentum)
