"""The audit of a network, without which it is not trained.

Two independent counters must agree exactly, and every image must cost the same, whatever the batch,
the random draws and the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor, nn

from efficiency_bench.counting import draws
from efficiency_bench.counting.draws import Draw
from efficiency_bench.counting.forward import ForwardCount, check_square, count_known_operators
from efficiency_bench.counting.independent import StepCount, TrainingCopy, per_image
from efficiency_bench.counting.trace import UncountedOperatorError
from efficiency_bench.errors import UserError

BATCH = 2
"""Images of the counted step: batch norm needs more than one value per channel."""

FURTHER_STEPS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Steps by which the network's own counters are advanced; the last is 200 epochs of ImageNet at
batch size 256 (5,004 steps each)."""

BATCH_NORMS = ("num_batches_tracked",)
"""Batch norm's counter, which affects nothing but a running mean."""

SHOWN_MODULES = 3
"""Modules named in a message: enough to find the place."""


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
    check_square(image_shape)
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


StepCounter = tuple[str, str]
"""A counter of the network's own: the module's name, and the attribute or buffer."""


class _Line(NamedTuple):
    """Two batch sizes and their counts: every other batch must lie on the line through them."""

    low: int
    less: StepCount | None
    """None: an empty batch costs nothing."""
    high: int
    more: StepCount

    def modules_off(self, batch: int, count: StepCount) -> list[str]:
        """The modules whose forward MACs for ``batch`` images are not on the line."""

        def is_off(module: str) -> bool:
            start = self.less.by_module.get(module, 0) if self.less else 0
            rise = self.more.by_module.get(module, 0) - start
            above = count.by_module.get(module, 0) - start
            return above * (self.high - self.low) != rise * (batch - self.low)

        modules = dict.fromkeys([*self.more.by_module, *count.by_module])
        return [module or "the model itself" for module in modules if is_off(module)]


def count_steady_step(
    model: nn.Module, image_shape: tuple[int, int, int]
) -> tuple[StepCount, tuple[str, ...]]:
    """``count_training_step``, and in words what the cost per image varies with, if anything.

    After the counted step the same copy runs forward once more, with more images and with the
    random numbers at the other end of their range.  Counters that the network keeps are then
    advanced.  The model and the random generators do not change.
    """
    twin = TrainingCopy(model, image_shape)
    first = twin.step(BATCH, "lowest")
    if first.constant:
        second = TrainingCopy(model, image_shape).step(BATCH + 1, "lowest")
        line, one_image = _Line(BATCH, first, BATCH + 1, second), per_image(first, BATCH, second)
    else:
        line, one_image = _Line(0, None, BATCH, first), per_image(first, BATCH)
    before = dict(_counters(twin.model))
    again = twin.step(line.high + 1, "highest", backward=False)
    if line.modules_off(line.high + 1, again):
        return one_image, (_cause(model, image_shape, line, again),)
    return one_image, tuple(_later_changes(twin, line, before))


def _cause(
    model: nn.Module, image_shape: tuple[int, int, int], line: _Line, again: StepCount
) -> str:
    """Which of batch size, draw or step made the copy's second step leave the line, in words."""

    def fresh(batch: int, draw: Draw) -> StepCount:
        return TrainingCopy(model, image_shape).step(batch, draw, backward=False)

    batch = line.high + 1
    larger, redrawn = fresh(batch, "lowest"), fresh(line.high, "highest")
    if modules := line.modules_off(batch, larger):
        return _difference(line, batch, larger, "in one batch", modules)
    if modules := line.modules_off(line.high, redrawn):
        return _difference(line, line.high, redrawn, "with other random numbers", modules)
    return _difference(line, batch, again, "at the second step", line.modules_off(batch, again))


def _difference(line: _Line, batch: int, count: StepCount, how: str, modules: list[str]) -> str:
    more = len(modules) - SHOWN_MODULES
    return (
        f"its forward pass costs {line.more.forward_macs} MACs for {line.high} images and"
        f" {count.forward_macs} for {batch} {how}, in {', '.join(modules[:SHOWN_MODULES])}"
        f"{f' and {more} more modules' if more > 0 else ''}"
    )


def _later_changes(
    twin: TrainingCopy, line: _Line, before: Mapping[StepCounter, int]
) -> Iterator[str]:
    """Yield, in words, any change of cost once the network's own counters are advanced."""
    now = dict(_counters(twin.model))
    moved = {key: now[key] - count for key, count in before.items() if now.get(key, count) != count}
    for steps in FURTHER_STEPS if moved else ():
        for (module, name), by in moved.items():
            _set(twin.model.get_submodule(module), name, now[module, name] + by * steps)
        count = twin.step(BATCH, "lowest", backward=False)
        if line.modules_off(BATCH, count):
            names = ", ".join(f"{module}.{name}".lstrip(".") for module, name in moved)
            how = f"once its own {names} has counted {steps} more steps"
            yield _difference(line, BATCH, count, how, line.modules_off(BATCH, count))
            return


def _counters(model: nn.Module) -> Iterator[tuple[StepCounter, int]]:
    """Yield the integers that modules hold as attributes or buffers, except batch norm's."""
    for module, inner in model.named_modules():
        for name, value in vars(inner).items():
            if isinstance(value, int) and not isinstance(value, bool):
                yield (module, name), value
        for name, buffer in inner.named_buffers(recurse=False):
            if buffer.numel() == 1 and not buffer.is_floating_point() and name not in BATCH_NORMS:
                yield (module, name), int(buffer)


def _set(module: nn.Module, name: str, value: int) -> None:
    held = getattr(module, name)
    if isinstance(held, Tensor):
        held.fill_(value)
    else:
        setattr(module, name, value)
