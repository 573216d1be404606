"""The device of a run and the numerics chosen for it, always resolved, shown and recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from efficiency_bench.config import RunConfig
from efficiency_bench.errors import UserError
from efficiency_bench.training.allocator import keep_freed_memory


def resolve(config: RunConfig) -> RunConfig:
    """``config`` with device, precision, layout, kernels and threads as they will be.

    Defaults: CUDA where there is one; bf16 autocast there and fp32 on a CPU (bf16 on a CPU was
    twenty times slower); channels_last on both (10 to 90 % faster for small networks on a CPU);
    the optimizer's kernel as measured on a CPU (docs/performance.md).
    """
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch sees no CUDA device; type device=cpu")
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if device == "cuda" else "fp32"
    kernel = config.optimizer_kernel
    if kernel == "auto":
        fused = device == "cpu" and config.recipe.optimizer.name == "adamw"
        kernel = "fused" if fused else "foreach"
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if device == "cpu":
        keep_freed_memory()
    return replace(
        config,
        device=device,
        precision=precision,
        channels_last=True if config.channels_last is None else config.channels_last,
        optimizer_kernel=kernel,
        threads=torch.get_num_threads() if device == "cpu" else None,
    )


def notes(config: RunConfig) -> tuple[str, ...]:
    """What could not be had here and costs time, for the run's notes."""
    if config.device != "cpu" or keep_freed_memory():
        return ()
    return (
        "freed memory goes back to the system after every step, which takes some of its time:"
        " only glibc can be told to keep it",
    )


def hardware(config: RunConfig, processes: int) -> dict[str, Any]:
    """Facts about the resolved device and the number of processes, for the entry."""
    facts: dict[str, Any] = {
        "device": config.device,
        "precision": config.precision,
        "processes": processes,
    }
    if config.device == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        facts |= {"card": properties.name, "card_memory_bytes": properties.total_memory}
    else:
        facts["torch_threads"] = config.threads
    return facts
