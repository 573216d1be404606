"""The interface of every data loader: whole epochs in a fixed order, including the last batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from efficiency_bench.provenance import usable_cores

Batch = tuple[Tensor, Tensor]
"""Images float32 [B, 3, side, side], normalised, and labels int64 [B], on the device."""


class Loader(Protocol):
    """Loads a training set and a validation set onto the device.

    In a run with several ranks, each rank has its own loader, which loads its shard of every batch;
    together they load each image once.
    """

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """The batches of one epoch from ``start_step`` on, whatever was loaded before."""
        ...

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """Every validation image exactly once, without augmentation."""
        ...


@dataclass(frozen=True)
class Data:
    """The data of a run: its loader, sizes, classes and digest."""

    train: Loader
    classes: tuple[str, ...]
    train_images: int
    val_images: int
    digest: str
    eval_batch_size: int
    notes: tuple[str, ...] = ()
    """What was decided without the user's request; printed and logged."""

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of batches per epoch."""
        return len(batch_sizes(self.train_images, batch_size))

    def validation(self) -> Iterator[Batch]:
        """Every validation image exactly once."""
        return self.train.validation(self.eval_batch_size)


def batch_sizes(images: int, batch_size: int) -> list[int]:
    """Sizes of the batches of an epoch; the last may be smaller, but is not a single image.

    Batch norm needs two values in training, so a remainder of one joins the batch before.
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
    """One rank's part of every batch; ``rank`` counts from 0."""

    rank: int = 0
    world_size: int = 1

    def take(self, whole: Whole) -> Whole:
        """Every ``world_size``-th element, starting at ``rank``."""
        return whole[self.rank :: self.world_size]


WHOLE_BATCH = Shard()
"""The shard at world size 1: all of every batch."""


def rank_cores() -> int | None:
    """CPU cores for this rank, or None if unknown: torchrun lets every rank use all of them."""
    cores = usable_cores()
    return cores and max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def within_cores(asked: int, typed: str) -> tuple[int, tuple[str, ...]]:
    """``asked`` or this rank's CPU cores, whichever is fewer, and a note if that is fewer.

    ``typed`` is the option as the user typed it, for the note.
    """
    cores = rank_cores() or asked
    if asked <= cores:
        return asked, ()
    return cores, (f"{typed} is reduced to {cores}, the CPU cores that this process may use",)
