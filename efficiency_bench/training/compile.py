"""Compile the training step before the clock starts, without changing the run's state."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from efficiency_bench.errors import UserError
from efficiency_bench.training.step import Step


@dataclass(frozen=True)
class Compiled:
    """The training step was compiled; the time is charged to no clock."""

    seconds: float
    graphs: int
    """Compiled graphs: one for each shape, times the parts between ``left_eager``."""
    left_eager: tuple[str, ...]
    """Reasons why torch left parts of the network uncompiled; empty: all of it is compiled."""


def compile_step(step: Step, shapes: Sequence[tuple[int, int]]) -> Compiled:
    """Compile ``step``'s network for every (images, side in px).

    Each shape gets static graphs of its own: with symbolic sizes, which torch chooses by itself at
    the second shape, every later batch ran slower.  On one GPU the graphs are replayed as CUDA
    graphs.  Torch compiles at the first use of a shape, which would count as training time.
    Weights, buffers and random generators do not change.  Raises UserError if torch cannot compile.
    """
    began, device = time.perf_counter(), step.ranks.device
    buffers = {name: value.clone() for name, value in step.model.named_buffers()}
    devices = [device] if device.type == "cuda" else []
    mode = "reduce-overhead" if device.type == "cuda" and step.ranks.alone else None
    _make_room(len(shapes) * len(list(step.model.modules())))
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        # inductor's hint to switch TF32 on, which precision= has decided
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
        try:
            compiled = torch.compile(step.shared_model, dynamic=False, mode=mode)
            step.shared_model = cast(nn.Module, compiled)
            step.replays_cuda_graphs = mode is not None
            # beyond the limit torch would go on uncompiled, without an error
            with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
                for images, side_px in shapes:
                    _use(step, images, side_px, device)
        except _torchs_own_errors() as error:
            raise UserError(
                f"torch cannot compile this network here: {_first_line(error)};\ntype compile=false"
            ) from error
    step.optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, value in step.model.named_buffers():
            value.copy_(buffers[name])
    counted = torch._dynamo.utils.counters
    graphs, breaks = counted["stats"]["unique_graphs"], counted["graph_break"]
    return Compiled(time.perf_counter() - began, graphs, tuple(map(_one_line, breaks)))


def _torchs_own_errors() -> tuple[type[Exception], ...]:
    known = torch._dynamo.exc  # importing it takes a second, so not at the top
    return known.TorchDynamoException, known.FailOnRecompileLimitHit


def _make_room(graphs: int) -> None:
    """Forget what earlier runs of this process compiled, and allow ``graphs`` for one function.

    Torch counts the graphs of a function across all networks that use it, and stops compiling it
    at a limit of 8.
    """
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    limits = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, graphs)
    limits.accumulated_recompile_limit = max(limits.accumulated_recompile_limit, graphs)


def _use(step: Step, images: int, side_px: int, device: torch.device) -> None:
    """Run one forward and backward pass over black images."""
    batch = torch.zeros(images, 3, side_px, side_px, device=device)
    labels = torch.zeros(images, dtype=torch.int64, device=device)
    step.forward(batch, labels, images).backward()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
