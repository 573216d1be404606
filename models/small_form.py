"""Networks for small images by one rule: a fixed share of the ImageNet form's MACs.

A small form keeps its paper's depth, blocks, expansions and groups.  Strides and pools are dropped,
starting at the input, until a 32 px image gives a 4 px feature map: two of five reductions (a
stride of four counts as two).  A convolution whose stride s becomes t gets the kernel max(3, odd
number nearest to k * t / s).  The head adapts to the size of its feature map.

One multiplier then scales all widths so that F, the forward MACs per image in train mode, is
``KAPPA`` times the ImageNet form's.  Each width is rounded to the smallest step that the structure
allows.  If no multiplier comes within ``CLOSE``, widths are raised by one step each, from the last
to the first, until F is nearest.  No width is chosen by hand.

The rule is solved for 32 px and 10 classes; other sizes and class counts keep these widths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from efficiency_bench.errors import UserError

KAPPA = 0.025
"""F of a small form over F of its ImageNet form (224 px, 1000 classes), at scale 1."""

IMAGE_PX = 32
CLASSES = 10
MAP_PX = 4
"""Side of the last feature map, for images of ``IMAGE_PX``."""

CLOSE = 0.03
"""Largest relative error of F at which the widths of the multiplier are kept."""

PRECISION = 1e-9
"""Precision of the multiplier; far finer than any difference that changes a rounded width."""


class Scaled(NamedTuple):
    """Widths from input to output, and the step by which each can be raised."""

    widths: tuple[int, ...]
    steps: tuple[int, ...]


class Shape(NamedTuple):
    """What the rule needs to know about a network."""

    imagenet_macs: int
    """F of the ImageNet form, MACs per image in train mode."""
    scaled: Callable[[float], Scaled]
    """The rounded widths for a multiplier."""
    macs: Callable[[Sequence[int]], int]
    """F of the small form with these widths, at 32 px and 10 classes, in train mode."""
    flat_head: bool = False
    """True if a linear layer reads the flattened feature map: its size depends on the image's."""


def nearest(value: float, step: int = 1) -> int:
    """Return the multiple of ``step`` nearest to ``value``, at least one step; ties round up."""
    return max(step, step * math.floor(value / step + 0.5))


def rounded(widths: Sequence[int], steps: Sequence[int] | None = None) -> Callable[[float], Scaled]:
    """Return ``Shape.scaled`` for the paper's ``widths`` and fixed ``steps`` (default 1 each)."""
    fixed = tuple(steps or [1] * len(widths))

    def scaled(multiplier: float) -> Scaled:
        pairs = zip(widths, fixed, strict=True)
        return Scaled(tuple(nearest(width * multiplier, step) for width, step in pairs), fixed)

    return scaled


def solve(name: str, shape: Shape, scale: float) -> tuple[int, ...]:
    """Return the widths whose F is nearest to ``scale * KAPPA`` times the ImageNet form's.

    Raises UserError if even the smallest widths cost more.
    """
    wanted = scale * KAPPA * shape.imagenet_macs

    def macs(multiplier: float) -> int:
        return shape.macs(shape.scaled(multiplier).widths)

    def error(widths: Sequence[int]) -> float:
        return abs(shape.macs(widths) / wanted - 1)

    low, high = 0.0, 1.0
    if (least := macs(low)) > wanted:
        raise UserError(
            f"model.scale={scale:g} asks for {wanted:,.0f} MACs per image, but {name} has"
            f" {least:,} with the fewest channels that it can have\ntype a scale of at least"
            f" {least / (KAPPA * shape.imagenet_macs):.2g}, or choose another model"
        )
    while macs(high) <= wanted:
        low, high = high, 2 * high
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if macs(middle) <= wanted else (low, middle)
    below, above = shape.scaled(low), shape.scaled(high)
    found = min(below.widths, above.widths, key=error)
    return found if error(found) <= CLOSE else min(raised(below), key=error)


def raised(start: Scaled) -> list[tuple[int, ...]]:
    """Return the widths of ``start`` and those after each raise, from the last to the first."""

    def raise_one(widths: tuple[int, ...], index: int) -> tuple[int, ...]:
        wider = widths[index] + start.steps[index]
        return (*widths[:index], wider, *widths[index + 1 :])

    backwards = reversed(range(len(start.widths)))
    return list(accumulate(backwards, raise_one, initial=start.widths))


def conv(channels_in: int, channels_out: int, kernel_px: int, side_px: int, groups: int = 1) -> int:
    """Return the MACs per image of a convolution with ``side_px`` * ``side_px`` output pixels."""
    return channels_in // groups * channels_out * kernel_px**2 * side_px**2
