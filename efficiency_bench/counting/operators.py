"""Every operator a traced network may use, in three groups; one on no list stops the count.

Names are those of torch.jit's traced graph.  An operator that ends with an underscore works in
place and costs the same as the one without; it need not be listed.
"""

from __future__ import annotations

CONTRACTIONS = frozenset(
    {
        "aten::_convolution",
        "aten::_convolution_mode",
        "aten::addbmm",
        "aten::addmm",
        "aten::baddbmm",
        "aten::bmm",
        "aten::einsum",
        "aten::linear",
        "aten::matmul",
        "aten::mm",
        "aten::scaled_dot_product_attention",
    }
)
"""Multiply-accumulates over an axis: what F counts (handles in ``handles.py``)."""

OF_ACTIVATIONS = frozenset(
    {"addbmm", "baddbmm", "bmm", "einsum", "matmul", "mm", "scaled_dot_product_attention"}
)
"""Contractions (fvcore's names) whose operands are both activations: B needs both gradients."""

ELEMENTWISE = frozenset(
    f"aten::{name}"
    for name in (
        "abs add addcmul avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d batch_norm "
        "bernoulli clamp clamp_min cos cumsum div dropout elu exp feature_dropout floor "
        "floor_divide gelu group_norm hardsigmoid hardswish hardtanh instance_norm layer_norm "
        "leaky_relu linalg_vector_norm log log_softmax max max_pool2d mean minimum maximum mish "
        "mul neg norm normal pow prelu reciprocal relu relu6 rms_norm round rsqrt rsub sigmoid "
        "silu sin softmax softplus sqrt square std sub sum tanh tril triu upsample_bicubic2d "
        "upsample_bilinear2d upsample_nearest2d var where masked_fill eq ne ge gt le lt "
        "_adaptive_avg_pool2d logical_and logical_or logical_not bitwise_not remainder"
    ).split()
)
"""At most a few operations an output element (normalisation, pooling, activation, comparison):
shown apart as elements and never part of F.  fvcore's own total would add some of them, up to
14 % of a network's MACs, which would lean against newer networks."""

FREE = frozenset(
    f"aten::{name}"
    for name in (
        "Int IntImplicit ScalarImplicit __and__ _shape_as_tensor alias arange as_strided "
        "broadcast_to cat chunk clone concat contiguous constant_pad_nd copy detach empty "
        "empty_like expand expand_as feature_alpha_dropout fill flatten flip full full_like "
        "gather index index_put index_select item lift_fresh masked_select meshgrid movedim "
        "narrow new_empty new_full new_ones new_zeros nonzero numel ones ones_like pad permute "
        "pixel_shuffle pixel_unshuffle reflection_pad2d replication_pad2d repeat "
        "repeat_interleave reshape resolve_conj resolve_neg roll select size slice "
        "split split_with_sizes squeeze stack t tensor_split to transpose type_as unbind "
        "unflatten unfold unsqueeze view view_as zero zeros zeros_like"
    ).split()
)
"""Shapes, copies and constants: no arithmetic on the activations."""


def group(kind: str) -> str | None:
    """``contraction``, ``elementwise``, ``free``, or None for an operator on no list."""
    plain = kind.removesuffix("_")
    if kind in CONTRACTIONS:
        return "contraction"
    if plain in ELEMENTWISE:
        return "elementwise"
    if plain in FREE or kind in FREE:
        return "free"
    return None
