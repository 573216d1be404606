"""Compile the training step before the clock starts, without changing the run's state."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from efficiency_bench.errors import UserError
from efficiency_bench.training.step import Step


def compile_step(step: Step, shapes: Iterable[tuple[int, int]], device: torch.device) -> float:
    """Compile ``step``'s network for every (images, side in px) and return the seconds it took.

    Torch compiles at the first use of a shape, which would count as training time.  Weights,
    buffers and random generators do not change.  Raises UserError if torch cannot compile.
    """
    began = time.perf_counter()
    buffers = {name: value.clone() for name, value in step.model.named_buffers()}
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            step.shared_model = cast(nn.Module, torch.compile(step.shared_model))
            for images, side_px in shapes:
                _use(step, images, side_px, device)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise UserError(
                f"torch cannot compile this network here: {str(error).splitlines()[0]};\n"
                "type compile=false"
            ) from error
    step.optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, value in step.model.named_buffers():
            value.copy_(buffers[name])
    return time.perf_counter() - began


def _use(step: Step, images: int, side_px: int, device: torch.device) -> None:
    """Run one forward and backward pass over black images."""
    batch = torch.zeros(images, 3, side_px, side_px, device=device)
    labels = torch.zeros(images, dtype=torch.int64, device=device)
    with step.autocast:
        loss = step.loss(step.shared_model(batch), labels)
    loss.backward()
