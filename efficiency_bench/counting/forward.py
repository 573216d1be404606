"""The compute of one training image, counted by fvcore on a copy of the model.

The copy is traced once in train mode with gradients enabled.  Every operator of the trace must be
on one of the lists in ``operators``.  Contractions give F (forward), F1 (the part that reads the
image) and B (backward), all in MACs per image.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from efficiency_bench.counting.trace import (
    BACKWARD,
    CONSTANT,
    ELEMENTS,
    FIRST,
    FORWARD,
    Places,
    UncountedOperatorError,
    trace,
)
from efficiency_bench.errors import UserError

TRACE_BATCH = 2
"""Images traced: batch norm in train mode needs more than one value per channel."""


@dataclass(frozen=True)
class ForwardCount:
    """The compute of one image at one resolution; 1 MAC is one multiply and one add."""

    resolution_px: int
    """Height of the images."""
    forward_macs: int
    """F: MACs of the training graph's forward pass, contractions only."""
    first_layer_macs: int
    """F1: the part of F in contractions that read the image, which needs no gradient."""
    backward_macs: int
    """B: for each product, its MACs once per operand that needs a gradient."""
    by_operator: Mapping[str, int] = field(hash=False)
    """Contraction -> MACs; they sum to F."""
    by_module: Mapping[str, int] = field(hash=False)
    """Module whose own forward runs the contractions -> MACs; they sum to F."""
    uncounted: Mapping[str, int] = field(hash=False)
    """Elementwise, normalising and pooling operators -> output elements (not MACs)."""
    constant_operand_macs: int = 0
    """MACs with an operand that is neither trained nor the image: fixed filters, tables.

    They need no gradient: if everything is trained, ``B = 2F - F1`` minus these."""


def count_forward(
    model: nn.Module, image_shape: tuple[int, int, int], batch: int = TRACE_BATCH
) -> ForwardCount:
    """Count F, F1 and B of ``model`` for images of ``image_shape`` (channels, px, px).

    The model, its mode and the random generators do not change: a deep copy is traced on the
    model's device, in train mode (auxiliary heads on), in fp32.  ``batch`` images are traced and
    the counts divided.  A contraction that does not involve the images (of a position table, say)
    is charged to each image in full, as in a batch of one.

    B is the MACs of each product once per operand that needs a gradient: 2F - F1 if everything is
    trained.  Slicing, padding or normalising the image needs no gradient, so the contraction
    after it still counts as the first layer.

    Raises UncountedOperatorError for an operator on no list, UserError if the model cannot take
    images of that size.
    """
    check_square(image_shape)
    count, refused = count_known_operators(model, image_shape, batch)
    if refused:
        raise UncountedOperatorError(refused)
    return count


def check_square(image_shape: tuple[int, int, int]) -> None:
    """ValueError unless images are as high as wide, which ``resolution_px`` stands for."""
    _, height, width = image_shape
    if height != width:
        raise ValueError(f"images must be square, not {height} x {width} px")


def count_known_operators(
    model: nn.Module, image_shape: tuple[int, int, int], batch: int = TRACE_BATCH
) -> tuple[ForwardCount, Places]:
    """``count_forward`` over the known operators, and the operators that could not be counted."""
    channels, height, width = image_shape
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        twin = copy.deepcopy(model).float().train()
        images = torch.zeros(batch, channels, height, width, device=device)
        traced, refused = trace(twin, images)
        trained = traced
        if not all(p.requires_grad for p in twin.parameters()):
            # Frozen layers need no gradient either: only if everything is trained does the lack
            # of a gradient identify the layers that read the image.
            trained, _ = trace(twin.requires_grad_(True), images)
    totals, unfrozen = _per_image(traced[""], batch), _per_image(trained[""], batch)
    count = ForwardCount(
        resolution_px=height,
        forward_macs=sum(_kind(totals, FORWARD).values()),
        first_layer_macs=sum(_kind(unfrozen, FIRST).values()),
        backward_macs=sum(_kind(totals, BACKWARD).values()),
        by_operator=_kind(totals, FORWARD),
        by_module=_by_module(traced, batch),
        uncounted=_kind(totals, ELEMENTS),
        constant_operand_macs=sum(_kind(unfrozen, CONSTANT).values()),
    )
    return count, refused


def trainable_parameters(model: nn.Module) -> int:
    """Number of values that training changes; a parameter that layers share counts once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _per_image(counts: Mapping[str, int], batch: int) -> dict[str, int]:
    """Counts of the batch divided by its size.

    MACs that do not divide evenly mean that compute is not proportional to the images, which is
    an error.  Elements of operators on weights need not divide and are rounded up.
    """
    result = {}
    for name, count in counts.items():
        quotient, rest = divmod(int(count), batch)
        if rest and not name.startswith(ELEMENTS):
            raise UserError(
                f"{name}: {count} MACs for {batch} images is not a whole number per image, so this"
                " model's compute is not proportional to the images\n"
                "choose another model; this one cannot be counted"
            )
        result[name] = quotient + bool(rest)
    return result


def _kind(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    """The counts of one kind by operator, without the prefix."""
    prefix = f"{kind}/"
    return {k.removeprefix(prefix): v for k, v in sorted(counts.items()) if k.startswith(prefix)}


def _by_module(traced: Mapping[str, Counter[str]], batch: int) -> dict[str, int]:
    """MACs per image of each module whose own forward runs contractions.

    fvcore adds a module's counts to all its ancestors, so the children's are subtracted.
    """
    inclusive = {
        module: sum(_kind(_per_image(counts, batch), FORWARD).values())
        for module, counts in traced.items()
    }
    own = dict(inclusive)
    for module, macs in inclusive.items():
        if module:
            own[module.rpartition(".")[0]] -= macs
    return {module: macs for module, macs in own.items() if macs}
