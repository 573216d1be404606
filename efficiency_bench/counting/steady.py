"""Whether every image costs the same, whatever its batch, the random draws and the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from efficiency_bench.counting.draws import Draw
from efficiency_bench.counting.independent import StepCount, TrainingCopy, per_image

BATCH = 2
"""Images of the counted step: batch norm needs more than one value a channel."""

FURTHER_STEPS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""How far a counter of the network's own is set forward; the last is 200 epochs of ImageNet at
batch 256 (5,004 steps each)."""

BATCH_NORMS = ("num_batches_tracked",)
"""A buffer that counts in every network and decides nothing but a running mean."""

SHOWN_MODULES = 3
"""Modules named where costs differ: enough to find the place."""

Counter = tuple[str, str]
"""A module's name and the attribute or buffer in which it counts."""


class _Line(NamedTuple):
    """Two batch sizes and their counts: any other batch must lie on the line through them."""

    low: int
    less: StepCount | None
    """None: a batch of no images costs nothing."""
    high: int
    more: StepCount

    def leaves(self, batch: int, count: StepCount) -> list[str]:
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
    """``count_training_step``, and in words what an image's cost varies with; empty if nothing.

    After the counted step the same copy runs forward once more, with more images and with its
    random numbers at the other ends of their ranges; a counter that the network keeps of its own
    is then set forward.  Model and random generators stay as they were.
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
    if line.leaves(line.high + 1, again):
        return one_image, (_cause(model, image_shape, line, again),)
    return one_image, tuple(_later(twin, line, before))


def _cause(
    model: nn.Module, image_shape: tuple[int, int, int], line: _Line, again: StepCount
) -> str:
    """What made the second step of the copy leave the line: batch, draw and step, one by one."""

    def fresh(batch: int, draw: Draw) -> StepCount:
        return TrainingCopy(model, image_shape).step(batch, draw, backward=False)

    batch = line.high + 1
    larger, redrawn = fresh(batch, "lowest"), fresh(line.high, "highest")
    if modules := line.leaves(batch, larger):
        return _told(line, batch, larger, "in one batch", modules)
    if modules := line.leaves(line.high, redrawn):
        return _told(line, line.high, redrawn, "with other random numbers", modules)
    return _told(line, batch, again, "at the second step", line.leaves(batch, again))


def _told(line: _Line, batch: int, count: StepCount, how: str, modules: list[str]) -> str:
    more = len(modules) - SHOWN_MODULES
    return (
        f"its forward pass costs {line.more.forward_macs} MACs for {line.high} images and"
        f" {count.forward_macs} for {batch} {how}, in {', '.join(modules[:SHOWN_MODULES])}"
        f"{f' and {more} more modules' if more > 0 else ''}"
    )


def _later(twin: TrainingCopy, line: _Line, before: Mapping[Counter, int]) -> Iterator[str]:
    """What a forward pass costs once the network's own counters stand further on, if not same."""
    now = dict(_counters(twin.model))
    moved = {key: now[key] - count for key, count in before.items() if now.get(key, count) != count}
    for steps in FURTHER_STEPS if moved else ():
        for (module, name), by in moved.items():
            _set(twin.model.get_submodule(module), name, now[module, name] + by * steps)
        count = twin.step(BATCH, "lowest", backward=False)
        if line.leaves(BATCH, count):
            names = ", ".join(f"{module}.{name}".lstrip(".") for module, name in moved)
            how = f"once its own {names} has counted {steps} steps more"
            yield _told(line, BATCH, count, how, line.leaves(BATCH, count))
            return


def _counters(model: nn.Module) -> Iterator[tuple[Counter, int]]:
    """Whole numbers that modules hold, as attributes or as buffers; batch norm's are left out."""
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
