"""What every loader of training images does: whole epochs, in order, the remainder included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from efficiency_bench.provenance import usable_cores

Batch = tuple[Tensor, Tensor]
"""Images float32 [B, 3, side, side], normalised, and labels int64 [B], on the device."""


class Loader(Protocol):
    """A training set and a validation set, delivered to the device.

    Where a run has several processes each has a loader of its own, which delivers its share of
    every batch; together they deliver each image once.
    """

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """The batches of one epoch from ``start_step`` on; the same whatever came before."""
        ...

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """Every validation image exactly once, not augmented."""
        ...


@dataclass(frozen=True)
class Data:
    """Everything about the data that a run needs to know."""

    train: Loader
    classes: tuple[str, ...]
    train_images: int
    val_images: int
    digest: str
    eval_batch_size: int
    notes: tuple[str, ...] = ()
    """What was changed or chosen without being asked for; shown to the user and logged."""

    def steps_per_epoch(self, batch_size: int) -> int:
        """Batches in one epoch."""
        return len(batch_sizes(self.train_images, batch_size))

    def validation(self) -> Iterator[Batch]:
        """Every validation image exactly once."""
        return self.train.validation(self.eval_batch_size)


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches: the last may be partial, and is never a single image.

    Batch norm in training needs two values, so a remainder of one joins the batch before.
    """
    whole, rest = divmod(images, batch_size)
    sizes = [batch_size] * whole
    if rest == 1 and sizes and batch_size > 1:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


Whole = TypeVar("Whole", Tensor, list[int])


@dataclass(frozen=True)
class Shard:
    """One process's part of every batch: ``rank`` from 0, of ``world_size`` processes."""

    rank: int = 0
    world_size: int = 1

    def take(self, whole: Whole) -> Whole:
        """Every ``world_size``-th element [n], from ``rank`` on."""
        return whole[self.rank :: self.world_size]


WHOLE_BATCH = Shard()
"""The share of a run's only process: everything."""


def within_cores(asked: int, typed: str) -> tuple[int, tuple[str, ...]]:
    """``asked`` workers, but no more than this process has CPU cores, and a note if that is fewer.

    ``typed`` is how they were asked for, for the note.
    """
    cores = usable_cores() or asked
    if asked <= cores:
        return asked, ()
    return cores, (f"{typed} is cut to {cores}, the CPU cores that this process may use",)
