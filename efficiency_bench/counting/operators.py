"""The known operators, each on exactly one list; any other is rejected by name."""

from __future__ import annotations

from collections.abc import Mapping

from efficiency_bench.counting import handles


def _named(names: str, in_place: bool = False) -> frozenset[str]:
    """Full names of the operators in ``names``, with their in-place variants if asked."""
    marks = ("", "_") if in_place else ("",)
    return frozenset(f"aten::{name}{mark}" for name in names.split() for mark in marks)


CONTRACTIONS: Mapping[str, handles.Handle] = {
    "aten::_convolution": handles.convolution,
    "aten::_convolution_mode": handles.convolution_mode,
    "aten::linear": handles.linear,
    "aten::mm": handles.mm,
    "aten::bmm": handles.bmm,
    "aten::addmm": handles.addmm,
    "aten::baddbmm": handles.batched_add,
    "aten::addbmm": handles.batched_add,
    "aten::matmul": handles.matmul,
    "aten::mv": handles.matmul,
    "aten::dot": handles.matmul,
    "aten::addmv": handles.addmv,
    "aten::tensordot": handles.tensordot,
    "aten::einsum": handles.einsum,
    "aten::scaled_dot_product_attention": handles.attention,
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

REFUSED: Mapping[str, str] = {
    "aten::copy_": "writes into a part of a tensor, which hides what needs a gradient",
    "aten::index_put_": "writes into a part of a tensor, which hides what needs a gradient",
    "prim::If": "scripted control flow, whose inside the trace does not show",
    "prim::Loop": "scripted control flow, whose inside the trace does not show",
}
"""Operators that fvcore would silently ignore although they can make a count wrong."""
