"""What an exception during training means: the user's mistake, an interruption, or the run's fault.

A run that ends by its own fault is final; an interrupted one resumes.  A device or a process that
failed says nothing about the run.
"""

from __future__ import annotations

import torch

from efficiency_bench.config import RunConfig
from efficiency_bench.errors import UserError
from efficiency_bench.run.processes import RANK_DIED, is_lost_process
from efficiency_bench.training.ranks import Ranks

WORKER_DIED = "DataLoader worker"
"""Start of torch's message when a loading process was killed, usually because memory ran out."""

OUT_OF_MEMORY = ("out of memory", "STATUS_ALLOC_FAILED")
DEVICE_FAILED = ("CUDA error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS", "CUDNN_STATUS")
"""Words of torch's messages about a device, in versions and libraries that raise a plain
RuntimeError instead of AcceleratorError or OutOfMemoryError."""

UNFIT = ("no kernel image is available", "driver version is insufficient")
"""The device works, but not with this torch or driver."""

OWN_FAULT = ("device-side assert",)
"""A check in a kernel failed, such as a label out of range: the run would fail again."""


def interruption(error: Exception, config: RunConfig, ranks: Ranks, evaluated: bool) -> str | None:
    """Why the run was interrupted; None if the error is the run's own fault.

    ``evaluated``: the run had an evaluation before, so its batches fit.  Raises UserError if they
    do not fit, and if this torch cannot use the device at all.
    """
    text = _first_line(error)
    if is_lost_process(error, ranks):
        return RANK_DIED
    if WORKER_DIED in text:
        return text
    if "does not have a deterministic implementation" in text:
        raise UserError(
            f"deterministic=true: {text.partition(',')[0]};\n"
            "type deterministic=false, or train this network on a CPU"
        ) from error
    if not _of_the_device(error, text) or any(words in text for words in OWN_FAULT):
        return None
    if any(words in text for words in UNFIT):
        raise UserError(
            f"this torch ({torch.__version__}) cannot use this device: {text};\ninstall a torch"
            " built for it and its driver, or type device=cpu"
        ) from error
    if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in OUT_OF_MEMORY):
        return _out_of_memory(text, config, evaluated, error)
    return f"the device failed ({text}); run the same command again to resume"


def _of_the_device(error: Exception, text: str) -> bool:
    kinds = (torch.OutOfMemoryError, torch.AcceleratorError)
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError) and any(words in text for words in DEVICE_FAILED)
    )


def _out_of_memory(text: str, config: RunConfig, evaluated: bool, error: Exception) -> str:
    size, evaluation = config.recipe.batch_size, config.data.eval_batch_size
    advice = (
        "type a smaller recipe.batch_size=, or a smaller data.eval_batch_size= if it evaluated,"
        " which is a new run; or use a device with more memory"
    )
    if not evaluated:
        raise UserError(
            f"recipe.batch_size={size} (data.eval_batch_size={evaluation}) does not fit the"
            f" device's memory: {text};\n{advice}"
        ) from error
    return (
        f"the device ran out of memory at recipe.batch_size={size} ({text}); if nothing else uses"
        f" the device, run the same command again to resume; else {advice}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
