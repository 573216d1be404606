"""Handles: pure functions from a traced contraction to the products that it computes.

A handle takes the operator's inputs and outputs as values of the traced graph.  It returns each
product with its multiply-adds for the whole batch (1 MAC = one multiply and one add) and the
values from which its two operands are made.  The operands determine the cost of the backward
pass: the gradient of a product with respect to either operand is a product of the same size.

fvcore's own counts are used where they are exact (convolution, linear, addmm, bmm, mm).  The
other handles replace counts that are zero in fvcore (attention, ``padding='same'``, baddbmm,
addbmm) or wrong (it divides a broadcast matmul by the batch, and rounds einsum to four digits).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

Value = Any
"""A ``torch._C.Value`` of the traced graph; torch publishes no type for it."""


class Product(NamedTuple):
    """One product of a left and a right operand."""

    macs: int
    """Multiply-adds for the whole batch."""
    left: tuple[Value, ...]
    right: tuple[Value, ...]


Handle = Callable[[Sequence[Value], Sequence[Value]], tuple[Product, ...]]


def shape(value: Value) -> list[int]:
    """The shape of a traced tensor; ValueError if the trace does not know it."""
    sizes = get_shape(value)
    if sizes is None:
        raise ValueError("the trace does not know an operand's shape")
    return list(sizes)


def constant(node: Value, position: int) -> Any:
    """The constant input of a traced ``node`` at ``position``; None if it was computed."""
    inputs = list(node.inputs())
    return inputs[position].toIValue() if position < len(inputs) else None


def convolution(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::_convolution, including grouped, dilated and transposed."""
    (macs,) = conv_flop_jit(inputs, outputs).values()
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def convolution_mode(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::_convolution_mode: padding 'same' or 'valid'; padded zeros count as MACs."""
    macs = conv_flop_count(shape(inputs[0]), shape(inputs[1]), shape(outputs[0]))
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def linear(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::linear: (..., in) by (out, in)."""
    macs = linear_flop_jit(inputs, outputs)
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def mm(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::mm: (n, k) by (k, m)."""
    macs = matmul_flop_jit(inputs, outputs)
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def bmm(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::bmm: (b, n, k) by (b, k, m)."""
    macs = bmm_flop_jit(inputs, outputs)
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def addmm(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::addmm: a bias plus (n, k) by (k, m); the bias costs no MAC."""
    macs = addmm_flop_jit(inputs, outputs)
    return (Product(macs, (inputs[1],), (inputs[2],)),)


def batched_add(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::baddbmm and aten::addbmm (summed over b): a bias plus (b, n, k) by (b, k, m)."""
    return bmm(inputs[1:3], outputs)


def matmul(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::matmul, mv and dot: each output element sums the left operand's last dimension."""
    macs = prod(shape(outputs[0])) * shape(inputs[0])[-1]
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def addmv(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::addmv: a bias plus (n, k) by (k)."""
    return matmul(inputs[1:3], outputs)


def tensordot(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::tensordot: each output element sums the contracted dimensions."""
    sizes = shape(inputs[0])
    contracted = [dim.toIValue() for dim in inputs[2].node().inputs()]
    macs = prod(shape(outputs[0])) * prod(sizes[dim] for dim in contracted)
    return (Product(macs, (inputs[0],), (inputs[1],)),)


def attention(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::scaled_dot_product_attention: scores = q k^T, then scores times v.

    q is (..., queries, width), k (..., keys, width), v (..., keys, value width).  A mask, causal
    or not, saves nothing: the product is counted in full, as for explicit matmuls.
    """
    query, key, value = inputs[:3]
    *batch, queries, width = shape(query)
    scores = prod(batch) * queries * shape(key)[-2]
    return (
        Product(scores * width, (query,), (key,)),
        Product(scores * shape(value)[-1], (query, key), (value,)),
    )


def einsum(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::einsum of one or two operands: output elements by the sizes of the summed letters.

    Summed letters are those in both operands and not in the output.  A letter in only one operand
    is summed before the product and costs no MAC.  Raises ValueError for more operands, whose
    cost depends on the order of contraction.
    """
    terms, _, result = str(inputs[0].toIValue()).replace(" ", "").partition("->")
    operands = list(inputs[1].node().inputs())
    if len(operands) == 1:
        return ()
    if len(operands) != 2:
        raise ValueError(f"einsum of {len(operands)} operands; contract two at a time")
    left, right = (
        _letter_sizes(term, shape(operand))
        for term, operand in zip(terms.split(","), operands, strict=True)
    )
    # Without an arrow the output has the letters that occur once, so shared ones are summed.
    summed = [letter for letter in left if letter in right and letter not in result]
    macs = prod(shape(outputs[0])) * prod(max(left[s], right[s]) for s in summed)
    return (Product(macs, (operands[0],), (operands[1],)),)


def _letter_sizes(term: str, sizes: Sequence[int]) -> dict[str, int]:
    """Size of each letter in one einsum term; letters after an ellipsis count from the end."""
    before, _, after = term.partition("...")
    tail = sizes[len(sizes) - len(after) :]
    return dict(zip(before, sizes, strict=False)) | dict(zip(after, tail, strict=True))


with warnings.catch_warnings():
    # fvcore uses torch.jit.script at import time; if warnings are errors, its deprecation warning
    # would stop the program.
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
