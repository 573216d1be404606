"""MACs of the contractions that fvcore counts not at all, or wrongly.

A handle takes the traced node's inputs and outputs (torch.jit values, whose types carry the
shapes) and returns MACs of the whole batch.  For the other contractions fvcore's own handles
are exact and stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Values = list[Any]


def shape(value: Any) -> list[int]:
    """Sizes of a traced tensor."""
    sizes = value.type().sizes()
    if sizes is None:
        raise ValueError("the trace holds no shape for a contraction's operand")
    return list(sizes)


def convolution_mode(inputs: Values, outputs: Values) -> int:
    """Conv2d(padding='same'|'valid'): every output element sums over one filter."""
    filters = shape(inputs[1])  # [out, in / groups, *kernel]
    return math.prod(shape(outputs[0])) * math.prod(filters[1:])


def matmul(inputs: Values, outputs: Values) -> int:
    """matmul with any broadcasting: every output element sums over the last axis of the first."""
    return math.prod(shape(outputs[0])) * shape(inputs[0])[-1]


def batched_addition(inputs: Values, outputs: Values) -> int:
    """baddbmm and addbmm(input, [b,n,k], [b,k,m]): the product, not the addition."""
    batch, rows, inner = shape(inputs[1])
    return batch * rows * inner * shape(inputs[2])[-1]


def attention(inputs: Values, outputs: Values) -> int:
    """Attention of queries [..., l, e], keys [..., s, e], values [..., s, v]: both products.

    Causal masks are not exploited: what is masked is computed all the same.
    """
    *batch, queries, width = shape(inputs[0])
    keys, values = shape(inputs[1])[-2], shape(inputs[2])[-1]
    return math.prod(batch) * queries * keys * (width + values)


def einsum(inputs: Values, outputs: Values) -> int:
    """einsum of two operands: the product of all its index sizes, exactly.

    fvcore reads the count from a printed figure of four digits.
    """
    equation = inputs[0].toIValue().replace(" ", "")
    terms = equation.split("->")[0].split(",")
    operands = [shape(value) for value in inputs[1].node().inputs()]
    if "." in equation or len(terms) != 2:
        raise ValueError(f"einsum {equation!r}: only two operands without '...' can be counted")
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        sizes |= dict(zip(term, operand, strict=True))
    return math.prod(sizes.values())


OWN: dict[str, Callable[[Values, Values], int]] = {
    "aten::_convolution_mode": convolution_mode,
    "aten::addbmm": batched_addition,
    "aten::baddbmm": batched_addition,
    "aten::einsum": einsum,
    "aten::matmul": matmul,
    "aten::mm": matmul,
    "aten::scaled_dot_product_attention": attention,
}


def elements(inputs: Values, outputs: Values) -> int:
    """Output elements of an operator that is not a contraction (0 where it gives no tensor)."""
    sizes = outputs[0].type().sizes() if hasattr(outputs[0].type(), "sizes") else None
    return math.prod(sizes) if sizes is not None else 0
