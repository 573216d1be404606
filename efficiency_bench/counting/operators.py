"""The operators that the trace knows: each is on exactly one list, any other is rejected by name.

A contraction has a handle: a pure function from the operator's inputs and outputs, values of the
traced graph, to the products that it computes: each with its multiply-adds for the whole batch
(1 MAC = one multiply and one add) and the values from which its two operands are made.  The
operands determine the cost of the backward pass: the gradient of a product with respect to either
operand is a product of the same size.

fvcore's own counts are used where they are exact (convolution, linear, addmm, bmm, mm).  The
other handles replace counts that are zero in fvcore (attention, LSTM, ``padding='same'``, baddbmm,
addbmm) or wrong (it divides a broadcast matmul by the batch, and rounds einsum to four digits).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

with warnings.catch_warnings():
    # fvcore uses torch.jit.script at import time; if warnings are errors, its deprecation warning
    # would stop the program.
    for _category in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=_category)
    from fvcore.nn.jit_analysis import JitModelAnalysis as JitModelAnalysis
    from fvcore.nn.jit_handles import (
        addmm_flop_jit,
        bmm_flop_jit,
        conv_flop_count,
        conv_flop_jit,
        linear_flop_jit,
        matmul_flop_jit,
    )
    from fvcore.nn.jit_handles import get_shape as get_shape

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


def lstm(inputs: Sequence[Value], outputs: Sequence[Value]) -> tuple[Product, ...]:
    """aten::lstm: per step, four gates from the input and four from the state before.

    Input weights are (4 hidden, in), state weights (4 hidden, hidden), one pair per layer and
    direction.  The state before the first step comes from outside, usually zeros that need no
    gradient.  Raises ValueError unless the batch is the first dimension: a packed sequence has
    none, and otherwise the trace does not know that the state's size is the number of images.
    """
    if inputs[-1].toIValue() is not True or len(shape(inputs[0])) != 3:
        raise ValueError("an LSTM is counted with batch_first=True and without packing")
    source, state = inputs[0], next(inputs[1].node().inputs())
    weights = [w for w in inputs[2].node().inputs() if len(shape(w)) == 2]
    batch, steps, _ = shape(source)
    products, below = [], (source,)
    directions = 2 if inputs[-2].toIValue() else 1
    for first in range(0, len(weights), 2 * directions):
        layer = weights[first : first + 2 * directions]
        for of_input, of_state in zip(layer[::2], layer[1::2], strict=True):
            macs = batch * prod(shape(of_state))
            products += [
                Product(batch * steps * prod(shape(of_input)), below, (of_input,)),
                Product(macs, (state,), (of_state,)),
                Product(macs * (steps - 1), (*below, of_input, of_state), (of_state,)),
            ]
        below = (*below, *layer)
    return tuple(products)


def _letter_sizes(term: str, sizes: Sequence[int]) -> dict[str, int]:
    """Size of each letter in one einsum term; letters after an ellipsis count from the end."""
    before, _, after = term.partition("...")
    tail = sizes[len(sizes) - len(after) :]
    return dict(zip(before, sizes, strict=False)) | dict(zip(after, tail, strict=True))


def _named(names: str, in_place: bool = False) -> frozenset[str]:
    """Full names of the operators in ``names``, with their in-place variants if asked."""
    marks = ("", "_") if in_place else ("",)
    return frozenset(f"aten::{name}{mark}" for name in names.split() for mark in marks)


CONTRACTIONS: Mapping[str, Handle] = {
    "aten::_convolution": convolution,
    "aten::_convolution_mode": convolution_mode,
    "aten::linear": linear,
    "aten::mm": mm,
    "aten::bmm": bmm,
    "aten::addmm": addmm,
    "aten::baddbmm": batched_add,
    "aten::addbmm": batched_add,
    "aten::matmul": matmul,
    "aten::mv": matmul,
    "aten::dot": matmul,
    "aten::addmv": addmv,
    "aten::tensordot": tensordot,
    "aten::einsum": einsum,
    "aten::lstm": lstm,
    "aten::scaled_dot_product_attention": attention,
}
"""Multiply-adds over a summed dimension: F counts exactly these."""

POINTWISE = _named(
    "abs add sub rsub mul div neg pow square sqrt rsqrt reciprocal exp log erf sin cos "
    "relu relu6 hardtanh hardswish hardsigmoid sigmoid silu gelu mish elu celu selu leaky_relu "
    "prelu rrelu softplus softsign tanh hardshrink tanhshrink log_sigmoid glu logit lerp "
    "addcmul addcdiv clamp clamp_min clamp_max maximum minimum where floor ceil round trunc "
    "dropout feature_dropout alpha_dropout feature_alpha_dropout",
    in_place=True,
)
"""A few operations per output element, no sum."""

NORMALISATION = _named(
    "batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm softmax "
    "log_softmax linalg_vector_norm norm cosine_similarity"
)
"""Statistics and a scale: fvcore counts several operations per element, by no published rule."""

REDUCTION = _named(
    "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d mean sum var std var_mean std_mean amax amin max min "
    "cumsum logsumexp prod col2im"
)
"""Pooling and other reductions without a product."""

RESAMPLING = _named(
    "upsample_nearest1d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d "
    "_upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler"
)
"""Each output element is a fixed-weight mix of a few neighbours."""

ELEMENTWISE = POINTWISE | NORMALISATION | REDUCTION | RESAMPLING
"""Work that F leaves out; counted separately, as output elements, and reported."""

VIEWS = _named(
    "alias as_strided broadcast_to chunk contiguous detach diagonal expand expand_as flatten "
    "movedim moveaxis narrow numpy_T mT permute reshape reshape_as resolve_conj resolve_neg "
    "select slice split split_with_sizes squeeze swapaxes t tensor_split to transpose type_as "
    "unbind unflatten unfold unsqueeze view view_as",
    in_place=True,
)
"""The same numbers with another shape or type."""

COPIES = _named(
    "cat channel_shuffle clone concat concatenate constant_pad_nd embedding flip gather hstack "
    "im2col index index_select lift_fresh masked_fill masked_select pad pixel_shuffle "
    "pixel_unshuffle reflection_pad1d reflection_pad2d repeat repeat_interleave replication_pad1d "
    "replication_pad2d roll stack take_along_dim tile tril triu vstack",
    in_place=True,
)
"""Numbers are moved, not computed."""

CONSTANTS = _named(
    "arange bernoulli empty empty_like eye fill full full_like linspace meshgrid new_empty "
    "new_full new_ones new_zeros normal ones ones_like rand rand_like randn randn_like "
    "scalar_tensor uniform zero zeros zeros_like",
    in_place=True,
)
"""Constants and random numbers, independent of the image."""

BOOKKEEPING = _named(
    "Int Bool Float ScalarImplicit IntImplicit FloatImplicit _shape_as_tensor dim item len numel "
    "size stride is_floating_point floor_divide remainder eq ne lt le gt ge bitwise_not "
    "bitwise_and bitwise_or __and__ __or__ logical_not logical_and logical_or isnan isinf argmax "
    "argmin argsort sort topk nonzero one_hot all any sign"
)
"""Sizes, comparisons and indices."""

SIZES = frozenset({"aten::size", "aten::_shape_as_tensor", "aten::len", "aten::numel", "aten::dim"})
"""The bookkeeping operators whose result does not depend on the image's content."""

FREE = VIEWS | COPIES | CONSTANTS | BOOKKEEPING
"""No arithmetic on activations: not counted."""

WRITES: Mapping[str, int] = {"aten::copy_": 1, "aten::index_put_": 2}
"""Writes into a part of a tensor, the first input -> position of the values written.

The trace does not show that the tensor then depends on these values.  That hides nothing if they
are constants, or if the tensor needs a gradient already; otherwise the write is refused.
"""

HIDES_GRADIENT = "writes into a part of a tensor, which hides what needs a gradient"

REFUSED: Mapping[str, str] = {
    "prim::If": "scripted control flow, whose inside the trace does not show",
    "prim::Loop": "scripted control flow, whose inside the trace does not show",
}
"""Operators that fvcore would silently ignore although they can make a count wrong."""
