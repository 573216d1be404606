"""fvcore's names, imported without the deprecation warnings that its import raises."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # fvcore decorates functions with torch.jit.script while it is imported; where warnings are
    # errors that alone would stop the program, and nothing here can change it.
    for _category in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=_category)
    from fvcore.nn.jit_analysis import JitModelAnalysis
    from fvcore.nn.jit_handles import (
        addmm_flop_jit,
        bmm_flop_jit,
        conv_flop_count,
        conv_flop_jit,
        get_shape,
        linear_flop_jit,
        matmul_flop_jit,
    )

__all__ = [
    "JitModelAnalysis",
    "addmm_flop_jit",
    "bmm_flop_jit",
    "conv_flop_count",
    "conv_flop_jit",
    "get_shape",
    "linear_flop_jit",
    "matmul_flop_jit",
]
