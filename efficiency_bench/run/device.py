"""Resolves a run's device and numerics, and measures the peak FLOP/s of that device."""

from __future__ import annotations

import ctypes
import functools
import os
import time
import warnings
from dataclasses import replace
from typing import Any

import torch

from efficiency_bench.config import RunConfig
from efficiency_bench.config_checks import FUSED
from efficiency_bench.errors import UserError

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt, numbered as in glibc's malloc.h."""

KEPT_BYTES = 1 << 30
"""Free memory kept at the end of the heap; our choice, several times what one step of a small
network uses."""

BLOCK_BYTES = 32 << 20
"""Larger blocks are mapped and unmapped individually: the largest threshold that glibc's own
adjustment reaches.  Without a limit, blocks of 240 MB grew the heap to eight times their size."""


def keep_freed_memory() -> bool:
    """Make malloc keep freed memory; False if the C library is not glibc.  Idempotent."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(MMAP_THRESHOLD, BLOCK_BYTES))


def resolve(config: RunConfig) -> RunConfig:
    """``config`` with every ``auto`` of device, precision, layout, kernels and threads resolved.

    Defaults: CUDA if available; bf16 autocast on a GPU that has it, and fp32 elsewhere (bf16 on a
    CPU was twenty times slower); channels_last on both (10 to 90 % faster for small networks on a
    CPU); the optimizer kernel that was faster on a CPU (docs/performance.md).  On CUDA what its
    documentation recommends, until ``make gpu-check`` has measured it: fused kernels for SGD and
    AdamW, and cuDNN's choice of algorithms by trial.
    """
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda, but torch finds no CUDA device; type device=cpu")
    precision = _precision(config.precision, device)
    kernel = config.optimizer_kernel
    if kernel == "auto":
        fused = ("adamw",) if device == "cpu" else FUSED
        kernel = "fused" if config.recipe.optimizer.name in fused else "foreach"
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if device == "cpu":
        keep_freed_memory()
    else:
        _choose_algorithms(config.deterministic)
    return replace(
        config,
        device=device,
        precision=precision,
        channels_last=True if config.channels_last is None else config.channels_last,
        optimizer_kernel=kernel,
        deterministic=config.deterministic and device == "cuda",
        threads=torch.get_num_threads() if device == "cpu" else None,
    )


def _choose_algorithms(deterministic: bool) -> None:
    """Have CUDA repeat its results to the bit, or choose the fastest algorithm by trial.

    Two trials may choose differently, so that two runs round differently.
    """
    if deterministic:
        # read when cuBLAS starts: https://docs.nvidia.com/cuda/cublas, "Results reproducibility"
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic


FIRST_WITH_TF32 = (8, 0)
"""Compute capability of Ampere, the first with TF32 and bf16 in hardware."""


def _precision(asked: str, device: str) -> str:
    """The precision on ``device``; on CUDA also sets torch's two TF32 flags accordingly.

    Torch's own default is TF32 for convolutions and float32 for matrix products.
    """
    if device == "cpu":
        if asked == "tf32":
            raise UserError("precision=tf32 is for device=cuda; on a CPU type precision=fp32")
        return "fp32" if asked == "auto" else asked
    if asked == "auto":
        asked = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    name, tf32 = torch.cuda.get_device_name(), asked == "tf32"
    if tf32 and torch.cuda.get_device_capability() < FIRST_WITH_TF32:
        raise UserError(f"precision=tf32: {name} has no TF32; type precision=fp32")
    with warnings.catch_warnings():  # torch 2.9 announces another interface for the same flags
        warnings.filterwarnings("ignore", message="Please use the new API settings to control TF32")
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
    return asked


def notes(config: RunConfig) -> tuple[str, ...]:
    """Notes for the run on speed-ups that this machine does not support."""
    if config.device != "cpu" or keep_freed_memory():
        return ()
    return (
        "freed memory is returned to the system after every step, which costs time: keeping it"
        " needs glibc",
    )


def hardware(config: RunConfig, processes: int) -> dict[str, Any]:
    """Facts about the resolved device and the world size, for the entry."""
    facts: dict[str, Any] = {
        "device": config.device,
        "precision": config.precision,
        "processes": processes,
    }
    if config.device == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        facts |= {
            "card": properties.name,
            "card_memory_bytes": properties.total_memory,
            "tf32_products": torch.backends.cuda.matmul.allow_tf32,
            "tf32_convolutions": torch.backends.cudnn.allow_tf32,
        }
    else:
        facts["torch_threads"] = config.threads
    return facts


MEASURED_SECONDS = 0.3
"""Long enough for a processor to reach its full clock, too short to be noticed before a run."""

SIDES = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices.  A CPU core needs about 50 ms for 1024; 8192 saturates a GPU
in every precision, and three such matrices take less than 1 GB."""

SEED = 0
"""Seed of the matrices' own generator, so that the run's generator is not advanced."""


def measured_peak(config: RunConfig, processes: int) -> dict[str, Any]:
    """``flops_per_second`` in ``config``'s precision, on its device, times ``processes``.

    ``config`` must be resolved, which sets TF32.  ``method`` says how it was measured.  Rank 0
    measures while the other ranks wait; each is assumed to reach the same rate.
    """
    one, method = _one_process(config.device, config.precision, config.threads)
    if processes > 1:
        method += f"; times {processes} processes"
    return {"flops_per_second": one * processes, "method": method}


@functools.cache
def _one_process(device: str, precision: str, threads: int | None) -> tuple[float, str]:
    """FLOP/s of one process, and the method; measured once: a sweep's runs share the machine."""
    side = SIDES[device]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    stream = torch.Generator(device).manual_seed(SEED)
    # random values: on constant ones a GPU draws less power and runs faster
    a, b = (torch.randn(side, side, generator=stream, device=device, dtype=kind) for _ in "ab")
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)  # the first call sets up the library and its memory
    fastest, left = float("inf"), MEASURED_SECONDS
    while left > 0:
        seconds = _seconds(a, b, out)
        fastest, left = min(fastest, seconds), left - seconds
    where = f"{threads} threads" if device == "cpu" else device
    return (
        2 * side**3 / fastest,
        f"torch.mm, {side} x {side}, {precision}, {where}, fastest in {MEASURED_SECONDS} s",
    )


def _seconds(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> float:
    """Seconds of one matrix product, synchronized."""
    if a.is_cuda:
        torch.cuda.synchronize()
    began = time.perf_counter()
    torch.mm(a, b, out=out)
    if a.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began
