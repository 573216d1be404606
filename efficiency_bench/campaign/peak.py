"""The rate of a matrix product on this machine: what a run's own rate is held against."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import torch

from efficiency_bench.config import RunConfig

MEASURED_SECONDS = 0.3
"""Long enough for a processor to reach its clock, too short to be noticed before a run."""

SIDES = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices.  A CPU core needs about 50 ms for 1024; a GPU is filled by 8192
in every precision, and three of them take less than 1 GB."""

SEED = 0
"""Of the matrices' own stream, so that the run's stays untouched."""


@dataclass(frozen=True)
class Peak:
    """FLOP/s, and how they were measured."""

    flops_per_second: float
    method: str


def measured_peak(config: RunConfig, processes: int) -> Peak:
    """The rate in ``config``'s precision, on its device and threads, times ``processes``.

    One process measures, while the others wait: that each would reach the same is assumed.
    """
    one = _one_process(config.device, config.precision, config.threads)
    if processes == 1:
        return one
    return Peak(one.flops_per_second * processes, f"{one.method}; times {processes} processes")


@functools.cache
def _one_process(device: str, precision: str, threads: int | None) -> Peak:
    """Measured once in a process: a sweep's later runs have the same machine."""
    side = SIDES[device]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    stream = torch.Generator(device).manual_seed(SEED)
    # random numbers: a GPU draws less power, and runs faster, on constant ones
    a, b = (torch.randn(side, side, generator=stream, device=device, dtype=kind) for _ in "ab")
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)  # the first sets up the library and its memory
    fastest, left = float("inf"), MEASURED_SECONDS
    while left > 0:
        seconds = _seconds(a, b, out)
        fastest, left = min(fastest, seconds), left - seconds
    where = f"{threads} threads" if device == "cpu" else device
    if device == "cuda" and precision == "fp32":
        where += f", float32 precision {torch.get_float32_matmul_precision()}"
    return Peak(
        2 * side**3 / fastest,
        f"torch.mm, {side} x {side}, {precision}, {where}, fastest in {MEASURED_SECONDS} s",
    )


def _seconds(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> float:
    """One product, waited for."""
    if a.is_cuda:
        torch.cuda.synchronize()
    began = time.perf_counter()
    torch.mm(a, b, out=out)
    if a.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began
