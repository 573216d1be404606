"""The audit: two independent counters must agree exactly, or the network is not trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import nn

from efficiency_bench.counting import draws
from efficiency_bench.counting.forward import ForwardCount, count_known_operators
from efficiency_bench.counting.independent import StepCount
from efficiency_bench.counting.steady import count_steady_step
from efficiency_bench.counting.trace import UncountedOperatorError
from efficiency_bench.errors import UserError

SHOWN_MODULES = 3
"""Modules named in an error message: enough to find the place."""


class CountersDisagreeError(UserError):
    """The two counters differ, so the model's compute is unknown; the message says where."""


class CostVariesError(UserError):
    """The cost per image varies between steps, or is zero: no single F holds for a whole run."""


@dataclass(frozen=True)
class Audit:
    """Both counters' counts for one image at one resolution, in MACs."""

    count: ForwardCount
    """From fvcore's trace, with this project's handles."""
    independent: StepCount
    """From a real training step, recorded at torch's dispatcher."""
    unknown: Mapping[tuple[str, str], str] = field(hash=False)
    """(operator, module) -> why a counter cannot count it."""
    everything_trained: bool
    """Whether every parameter needs a gradient: only then does B follow from F and F1."""
    varies: tuple[str, ...] = ()
    """What the cost per image varies with, in words; empty if every image costs the same F."""

    @property
    def disagreements(self) -> tuple[str, ...]:
        """All problems in words: varying cost, differing counters, B other than F implies."""
        found = [*self.varies, *_disagreements(self.count, self.independent)]
        if self.everything_trained and self.count.backward_macs != implied_backward(self.count):
            found.append(
                f"backward MACs per image: {self.count.backward_macs} by fvcore, but"
                f" 2F - F1 - constant operands = {implied_backward(self.count)}, as if the gradient"
                " were cut (detach, no_grad) after trained weights"
            )
        return tuple(found)

    @property
    def agrees(self) -> bool:
        """Whether both counters know every operator and count the same."""
        return not self.unknown and not self.disagreements

    @property
    def plainly_trained(self) -> bool:
        """Whether B = 2F - F1, that is, every operand but the image needs a gradient.

        It is false if layers are frozen or a product has a constant operand.
        """
        count = self.count
        return count.backward_macs == 2 * count.forward_macs - count.first_layer_macs


def implied_backward(count: ForwardCount) -> int:
    """B of a fully trained network: images and constant operands need no gradient."""
    return 2 * count.forward_macs - count.first_layer_macs - count.constant_operand_macs


def audit(model: nn.Module, image_shape: tuple[int, int, int]) -> Audit:
    """Count ``model`` for images of ``image_shape`` (channels, px, px) with both counters.

    The model, its modes and the random generators do not change.  Raises UserError if the model
    cannot take such images or returns an output that the training step cannot use.
    """
    with draws.foreign_generators() as drawn:
        count, refused = count_known_operators(model, image_shape)
        independent, varies = count_steady_step(model, image_shape)
    uncharged = dict.fromkeys(independent.without_formula, "no formula")
    everything_trained = all(p.requires_grad for p in model.parameters())
    unknown = uncharged | refused
    varies += tuple(
        f"it draws from {name}, which is neither varied here nor saved in checkpoints: use torch's"
        for name in drawn
    )
    if not unknown and count.forward_macs == independent.forward_macs == 0:
        varies += ("F = 0: it has no contraction, so training has no compute",)
    return Audit(count, independent, unknown, everything_trained, varies)


def audited_count(model: nn.Module, image_shape: tuple[int, int, int]) -> ForwardCount:
    """The count of ``model``, if both counters agree on it.

    Raises UncountedOperatorError for an operator that a counter does not know, with its module,
    CostVariesError if the cost per image is zero or varies, and CountersDisagreeError if the
    counters differ by a single MAC.
    """
    found = audit(model, image_shape)
    if found.unknown:
        raise UncountedOperatorError(found.unknown)
    if found.varies:
        raise CostVariesError(
            f"cannot count {type(model).__name__}: {'; '.join(found.varies)}\n"
            "every image must cost the same, and more than nothing: multiply by a mask instead of"
            " skipping layers, and do not mix images; see efficiency-bench audit MODEL"
        )
    if found.disagreements:
        raise CountersDisagreeError(
            f"cannot count this model: {'; '.join(found.disagreements)}\n"
            "the two counters must agree before a network is trained; see"
            " efficiency-bench audit MODEL"
        )
    return found.count


def _disagreements(count: ForwardCount, independent: StepCount) -> Iterator[str]:
    pairs = (
        ("forward", count.forward_macs, independent.forward_macs),
        ("backward", count.backward_macs, independent.backward_macs),
    )
    for name, traced, recorded in pairs:
        if traced != recorded:
            yield (
                f"{name} MACs per image: {traced} by fvcore, {recorded} by the independent counter"
            )
    differing = [
        f"{module or 'the model itself'} ({traced} by fvcore, {recorded})"
        for module, traced, recorded in by_module(count, independent)
        if traced != recorded
    ]
    if differing:
        more = len(differing) - SHOWN_MODULES
        yield (
            f"in {', '.join(differing[:SHOWN_MODULES])}"
            f"{f' and {more} more modules' if more > 0 else ''}"
        )


def by_module(count: ForwardCount, independent: StepCount) -> Iterator[tuple[str, int, int]]:
    """Yield (module, MACs by fvcore, MACs by the independent counter), in order of the trace."""
    for module in dict.fromkeys([*count.by_module, *independent.by_module]):
        traced = count.by_module.get(module, 0)
        recorded = independent.by_module.get(module, 0)
        if traced or recorded:
            yield module, traced, recorded
