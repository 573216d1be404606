"""A loader that holds the whole data set as one uint8 tensor and augments batches on the device.

If a GPU has enough memory, it holds the set, so no step copies images from the host.  Otherwise a
thread gathers the next batches into pinned memory, and the device copies them while it trains.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.ahead import DrawnAhead, worked_ahead
from efficiency_bench.data.augment import (
    Draws,
    Normalisation,
    augment,
    derived_generator,
    epoch_order,
    resized,
)
from efficiency_bench.data.crops import Views, cropped
from efficiency_bench.data.image_set import DataSplits
from efficiency_bench.data.loader import WHOLE_BATCH, Batch, Shard, batch_sizes

HOST = torch.device("cpu")

SHARE_OF_FREE_MEMORY = 0.8
"""Largest fraction of a GPU's free memory, before the network is loaded, for the data; our choice.
ImageNet at 128 px takes 0.77 of an 80 GB card, at 160 px 0.69 of a 139 GiB card; the rest is for
weights, activations and the optimizer."""


def free_bytes(device: torch.device) -> int | None:
    """Free bytes of a GPU's memory; None for the host, which holds the set in any case."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def fits(pixels: int, free: int | None) -> bool:
    """Whether a device with ``free`` bytes may hold a set of ``pixels`` one-byte values."""
    return free is None or pixels <= SHARE_OF_FREE_MEMORY * free


def kept_on_host(pixels: int) -> str:
    """The note if every step copies a batch from the host."""
    return (
        f"the images ({pixels / 1e9:.1f} GB) stay on the host: they need more than"
        f" {SHARE_OF_FREE_MEMORY:.0%} of the GPU's free memory"
    )


BATCHES_AHEAD = 3
"""Batches gathered on the host while the device works on one, as in FFCV's loader."""


class MemoryLoader:
    """A Loader over a DataSplits, which holds each set once, as uint8."""

    def __init__(
        self,
        splits: DataSplits,
        augmentation: AugmentationConfig,
        flip: bool,
        normalise: Normalisation,
        image_px: int,
        seed: int,
        device: torch.device,
        shard: Shard = WHOLE_BATCH,
        views: Views | None = None,
    ) -> None:
        """``image_px`` is the side of validation images; images of another side are resized.

        For photographs, ``views`` are the random crops for training and the centre for validation.
        """
        val_images = shard.take(splits.val.images)
        pixels = splits.train.images.numel() + val_images.numel()
        home = device if fits(pixels, free_bytes(device)) else HOST
        self.notes = () if home == device else (kept_on_host(pixels),)
        self._copies = home != device
        self.images = splits.train.images.to(home)
        self.labels = splits.train.labels.to(home)
        self.val_images = val_images.to(home)
        self.val_labels = shard.take(splits.val.labels).to(home)
        self.augmentation = augmentation
        self.flip = flip
        self.normalise = normalise
        self.image_px = image_px
        self.seed = seed
        self.device = device
        self.shard = shard
        self.views = views
        card = torch.cuda.current_device() if device.type == "cuda" else None
        self._gathering, drawing = (
            ThreadPoolExecutor(1, name, partial(_use_card, card)) for name in ("batches", "crops")
        )
        self._crops = None
        if views is not None:
            count, side = len(self.images), self.images.shape[-1]
            draw = partial(views.crops, seed, images=count, side_px=side)
            self._crops = DrawnAhead(drawing, draw)

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """See Loader.epoch: this rank's shard of the epoch's augmented batches."""
        home = self.images.device
        order = epoch_order(self.seed, epoch, len(self.labels)).to(home)
        parts = order.split(batch_sizes(len(order), batch_size))
        held = [self.images, self.labels]
        if self._crops is not None:
            held.append(self._crops(epoch).to(home))
        shards = (self.shard.take(whole) for whole in parts[start_step:])
        batches = self._on_device([part[indices] for part in held] for indices in shards)
        for step, (pixels, labels, *crops) in enumerate(batches, start=start_step):
            generator = derived_generator(self.device, self.seed, "augment", epoch, step)
            draws = Draws(generator, len(parts[step]), self.shard)
            images = self.normalise(pixels)
            if crops:
                images = cropped(images, crops[0], image_px)
            images = augment(images, self.augmentation, self.flip, draws)
            yield resized(images, image_px), labels

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation: this rank's shard, in stored order."""
        parts = self.val_images.split(batch_size), self.val_labels.split(batch_size)
        seen = (
            [images if self.views is None else self.views.centre(images), labels]
            for images, labels in zip(*parts, strict=True)
        )
        for images, labels in self._on_device(seen):
            yield resized(self.normalise(images), self.image_px), labels

    def _on_device(self, batches: Iterator[list[Tensor]]) -> Iterator[list[Tensor]]:
        """Yield the tensors of each batch on the device, gathered ahead if on the host."""
        if not self._copies:
            yield from batches
            return
        count = itertools.count()
        # a single thread, because the batches come from one iterator, in order
        turns = worked_ahead(self._gathering, count, lambda _: _pinned(batches), BATCHES_AHEAD)
        for batch in itertools.takewhile(lambda batch: batch is not None, turns):
            yield [part.to(self.device, non_blocking=True) for part in batch or ()]


def _pinned(batches: Iterator[list[Tensor]]) -> list[Tensor] | None:
    """The next batch in pinned memory; None after the last one."""
    batch = next(batches, None)
    return None if batch is None else [part.pin_memory() for part in batch]


def _use_card(card: int | None) -> None:
    """Select the process's GPU in a thread, which would use the first one otherwise."""
    if card is not None:
        torch.cuda.set_device(card)
