"""The audit: two counters that share nothing must agree to the integer, or nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import nn

from efficiency_bench.counting import draws
from efficiency_bench.counting.forward import ForwardCount, count_what_is_listed
from efficiency_bench.counting.independent import StepCount
from efficiency_bench.counting.steady import count_steady_step
from efficiency_bench.counting.trace import UncountedOperatorError
from efficiency_bench.errors import UserError

SHOWN_MODULES = 3
"""Modules named in a refusal: enough to find the place."""


class CountersDisagreeError(UserError):
    """The two counters differ, so what this model computes is not known; it says where."""


class CostVariesError(UserError):
    """An image costs more in one step than in another, or nothing: no F holds for a whole run."""


@dataclass(frozen=True)
class Audit:
    """Both counters' accounts of one image at one resolution, in MACs."""

    count: ForwardCount
    """fvcore's trace, with this project's handles."""
    independent: StepCount
    """A real training step, watched at the dispatcher."""
    unknown: Mapping[tuple[str, str], str] = field(hash=False)
    """(operator, module) -> why a counter cannot take it into account."""
    everything_trained: bool
    """Whether every parameter needs a gradient: only then must B follow from F and F1."""
    varies: tuple[str, ...] = ()
    """What an image's cost varies with, in words; empty where every image costs the same F."""

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Where an image's cost varies, counters differ, or B from what F implies, in words."""
        found = [*self.varies, *_disagreements(self.count, self.independent)]
        if self.everything_trained and self.count.backward_macs != implied_backward(self.count):
            found.append(
                f"backward MACs an image: {self.count.backward_macs} by fvcore, and"
                f" 2F - F1 - constant operands = {implied_backward(self.count)}, as if a gradient"
                " were cut (detach, no_grad) behind trained weights"
            )
        return tuple(found)

    @property
    def agrees(self) -> bool:
        """Whether everything is known to both counters and they count the same."""
        return not self.unknown and not self.disagreements

    @property
    def plainly_trained(self) -> bool:
        """Whether B = 2F - F1: every operand but the image needs its gradient.

        It fails, rightly, where layers are frozen or a product has a constant operand.
        """
        count = self.count
        return count.backward_macs == 2 * count.forward_macs - count.first_layer_macs


def implied_backward(count: ForwardCount) -> int:
    """B of a network with everything trained: no gradient for images and constant operands."""
    return 2 * count.forward_macs - count.first_layer_macs - count.constant_operand_macs


def audit(model: nn.Module, image_shape: tuple[int, int, int]) -> Audit:
    """Count ``model`` for images of ``image_shape`` (channels, px, px) by both counters.

    Model, modes and random generators stay as they were.  Raises UserError where the model
    cannot take such images or returns what no training step here can take.
    """
    with draws.foreign_generators() as drawn:
        count, refused = count_what_is_listed(model, image_shape)
        independent, varies = count_steady_step(model, image_shape)
    uncharged = dict.fromkeys(independent.without_formula, "no formula")
    everything_trained = all(p.requires_grad for p in model.parameters())
    unknown = uncharged | refused
    varies += tuple(
        f"it draws from {name}, which nothing here varies or saves with a checkpoint: use torch's"
        for name in drawn
    )
    if not unknown and count.forward_macs == independent.forward_macs == 0:
        varies += ("F = 0: nothing in it multiplies and sums, so training has no compute",)
    return Audit(count, independent, unknown, everything_trained, varies)


def audited_count(model: nn.Module, image_shape: tuple[int, int, int]) -> ForwardCount:
    """The count of ``model``, if it can be trusted.

    Raises UncountedOperatorError for an operator that a counter does not know, with its module,
    CostVariesError where an image costs nothing or not always the same, and
    CountersDisagreeError where the counters differ by a single MAC.
    """
    found = audit(model, image_shape)
    if found.unknown:
        raise UncountedOperatorError(found.unknown)
    if found.varies:
        raise CostVariesError(
            f"cannot count {type(model).__name__}: {'; '.join(found.varies)}\n"
            "every image must cost the same, more than nothing: multiply by a mask instead of"
            " leaving layers out, and mix no images; the account: efficiency-bench audit MODEL"
        )
    if found.disagreements:
        raise CountersDisagreeError(
            f"cannot count this model: {'; '.join(found.disagreements)}\n"
            "the two counters must agree before anything is trained; the account:"
            " efficiency-bench audit MODEL"
        )
    return found.count


def _disagreements(count: ForwardCount, independent: StepCount) -> Iterator[str]:
    pairs = (
        ("forward", count.forward_macs, independent.forward_macs),
        ("backward", count.backward_macs, independent.backward_macs),
    )
    for name, traced, watched in pairs:
        if traced != watched:
            yield f"{name} MACs an image: {traced} by fvcore, {watched} by the independent counter"
    differing = [
        f"{module or 'the model itself'} ({traced} by fvcore, {watched})"
        for module, traced, watched in by_module(count, independent)
        if traced != watched
    ]
    if differing:
        more = len(differing) - SHOWN_MODULES
        yield (
            f"in {', '.join(differing[:SHOWN_MODULES])}"
            f"{f' and {more} more modules' if more > 0 else ''}"
        )


def by_module(count: ForwardCount, independent: StepCount) -> Iterator[tuple[str, int, int]]:
    """Forward MACs of each module by both counters, in the order of the trace."""
    for module in dict.fromkeys([*count.by_module, *independent.by_module]):
        traced = count.by_module.get(module, 0)
        watched = independent.by_module.get(module, 0)
        if traced or watched:
            yield module, traced, watched
