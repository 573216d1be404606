"""Formulas of the independent counter: multiply-adds of an operator from its actual shapes.

They share nothing with the trace or with fvcore.  Each formula takes the arguments and the result
of one operator call, as the dispatcher sees them below autograd, and returns the multiply-adds of
the whole batch (1 MAC = one multiply and one add).  ``linear``, ``matmul``, ``einsum`` and the
like do not occur here: torch has already decomposed them into the products below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor

Formula = Callable[[Sequence[Any], Any], int]


def matrix_product(left: Tensor, right: Tensor) -> int:
    """(..., n, k) by (..., k, m): each element of the left operand multiplies m columns."""
    return left.numel() * right.shape[-1]


def matrix_vector(matrix: Tensor, vector: Tensor) -> int:
    """(n, k) by (k), or (k) by (k): each element is used once."""
    return matrix.numel()


def convolution(source: Tensor, weight: Tensor, output: Tensor, transposed: bool) -> int:
    """One filter application per output pixel, or per input pixel if it is transposed.

    ``weight`` is (channels out, channels in / groups, kernel), or, transposed, (channels in,
    channels out / groups, kernel): each channel of a pixel costs the product of all dimensions
    but the first.
    """
    pixels = source if transposed else output
    return pixels.numel() * prod(weight.shape[1:])


def convolution_backward(args: Sequence[Any], result: Any) -> int:
    """aten::convolution_backward: the forward's products once per requested gradient.

    ``output_mask`` (the last argument) says whether the gradients of input, weight and bias are
    computed; the gradient of the bias is a sum without products.
    """
    gradient, source, weight = args[:3]
    transposed, output_mask = args[7], args[10]
    return convolution(source, weight, gradient, transposed) * sum(output_mask[:2])


def attention(args: Sequence[Any], result: Any) -> int:
    """q k^T, then scores times v.

    q is (..., queries, width), k (..., keys, width), v (..., keys, value width).
    """
    query, key, value = args[:3]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return scores * (query.shape[-1] + value.shape[-1])


def attention_backward(args: Sequence[Any], result: Any) -> int:
    """One product per gradient that training needs.

    The gradient of the scores costs a product of the value's width, those of q and k one of their
    own width each, that of v one of its width.  Fused kernels also recompute the scores, to save
    memory, and compute every gradient, needed or not: neither is charged.
    """
    query, key, value = args[1:4]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    wanted = [query.requires_grad, key.requires_grad]
    by_width = sum(wanted) * query.shape[-1]
    by_value_width = (any(wanted) + value.requires_grad) * value.shape[-1]
    return scores * (by_width + by_value_width)


def lstm_layer(args: Sequence[Any], result: Any) -> int:
    """One layer in one direction: each step multiplies its input and its state by their weights.

    The input is (steps, batch, in); the weights are (4 hidden, in) and (4 hidden, hidden).
    """
    steps, batch, _ = args[0].shape
    return steps * batch * (args[1].numel() + args[2].numel())


def lstm_layer_backward(args: Sequence[Any], result: Any) -> int:
    """One product per gradient that training needs; the state before the first step needs none.

    The fused kernel computes every gradient, needed or not, which is not charged.
    """
    source, of_input, of_state, _, _, state = args[:6]
    steps, batch, _ = source.shape
    input_products = steps * (source.requires_grad + of_input.requires_grad)
    state_products = steps * (1 + of_state.requires_grad) - (not state.requires_grad)
    return batch * (input_products * of_input.numel() + state_products * of_state.numel())


# Kernels to which scaled_dot_product_attention may dispatch; the unfused one (used for masks that
# need a gradient, say) arrives as bmm.
_FUSED = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)

FORMULAS: Mapping[str, Formula] = {
    "aten::mm": lambda args, result: matrix_product(args[0], args[1]),
    "aten::bmm": lambda args, result: matrix_product(args[0], args[1]),
    "aten::addmm": lambda args, result: matrix_product(args[1], args[2]),
    "aten::baddbmm": lambda args, result: matrix_product(args[1], args[2]),
    "aten::addbmm": lambda args, result: matrix_product(args[1], args[2]),
    "aten::mv": lambda args, result: matrix_vector(args[0], args[1]),
    "aten::addmv": lambda args, result: matrix_vector(args[1], args[2]),
    "aten::dot": lambda args, result: matrix_vector(args[0], args[1]),
    "aten::convolution": lambda args, result: convolution(args[0], args[1], result, args[6]),
    "aten::convolution_backward": convolution_backward,
    "aten::mkldnn_rnn_layer": lstm_layer,
    "aten::mkldnn_rnn_layer_backward": lstm_layer_backward,
    **{f"aten::{kernel}": attention for kernel in _FUSED},
    **{f"aten::{kernel}_backward": attention_backward for kernel in _FUSED},
}
"""Dispatcher operator -> its multiply-adds; in-place variants use the same name."""

OUTER_PRODUCT_NODES = frozenset({"MvBackward0", "AddmvBackward0", "DotBackward0"})
"""Autograd nodes whose gradient of a matrix is an outer product, which runs as ``mul``."""

_OPAQUE = (
    "_thnn_fused_lstm_cell _thnn_fused_gru_cell _cudnn_rnn miopen_rnn "
    "_trilinear _cdist_forward _pdist_forward _fft_c2c _fft_r2c _fft_c2r linalg_solve_ex "
    "_linalg_solve_ex _linalg_svd _linalg_eigh linalg_qr linalg_inv_ex linalg_lu_factor_ex "
    "linalg_cholesky_ex linalg_householder_product linalg_matrix_exp linalg_cross "
    "_efficient_attention_forward _flash_attention_forward _native_multi_head_attention "
    "_transformer_encoder_layer_fwd _int_mm _scaled_mm _grouped_mm _scaled_grouped_mm "
    "_sparse_addmm sparse_mask_helper"
)

WITHOUT_FORMULA = frozenset(f"aten::{name}" for name in _OPAQUE.split())
"""Operators that contain contractions but have no formula here; they are always reported."""
