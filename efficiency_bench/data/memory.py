"""A whole data set as one uint8 tensor, augmented on the device in batches.

A CUDA device holds the set itself where there is room, so that a step copies nothing from the host.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from efficiency_bench.config import AugmentationConfig
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
"""The most of a GPU's free memory that a set may take, before the network is there; our choice.
ImageNet as squares of 128 px takes 0.77 of a card of 80 GB, of 160 px 0.69 of one of 139 GiB; the
rest is for weights, activations and the optimizer."""


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a GPU; None for the host, which holds the set in any case."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def fits(pixels: int, free: int | None) -> bool:
    """Whether a device with ``free`` bytes may hold a set of so many one-byte pixel values."""
    return free is None or pixels <= SHARE_OF_FREE_MEMORY * free


def kept_on_host(pixels: int) -> str:
    """The note of a run whose every step copies a batch from the host."""
    return (
        f"the images ({pixels / 1e9:.1f} GB) stay on the host: more than"
        f" {SHARE_OF_FREE_MEMORY:.0%} of the GPU's free memory"
    )


class MemoryLoader:
    """Serves a DataSplits; each set is held once, as uint8."""

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
        """``image_px`` is the side of validation images; a set of another side is resized.

        Photographs have ``views``: random crops to train on, and the centre to be validated on.
        """
        val_images = shard.take(splits.val.images)
        pixels = splits.train.images.numel() + val_images.numel()
        home = device if fits(pixels, free_bytes(device)) else HOST
        self.notes = () if home == device else (kept_on_host(pixels),)
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

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """See Loader.epoch: this process's share of augmented batches in that epoch's order."""
        order = epoch_order(self.seed, epoch, len(self.labels)).to(self.images.device)
        parts = order.split(batch_sizes(len(order), batch_size))
        crops = self._crops(epoch)
        for step, whole in enumerate(parts[start_step:], start=start_step):
            generator = derived_generator(self.device, self.seed, "augment", epoch, step)
            draws = Draws(generator, len(whole), self.shard)
            indices = self.shard.take(whole)
            images = self.normalise(self.images[indices].to(self.device))
            if crops is not None:
                images = cropped(images, crops[indices].to(self.device), image_px)
            images = augment(images, self.augmentation, self.flip, draws)
            yield resized(images, image_px), self.labels[indices].to(self.device)

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation: this process's share in the order stored."""
        for images, labels in zip(
            self.val_images.split(batch_size), self.val_labels.split(batch_size), strict=True
        ):
            seen = images if self.views is None else self.views.centre(images)
            pixels = self.normalise(seen.to(self.device))
            yield resized(pixels, self.image_px), labels.to(self.device)

    def _crops(self, epoch: int) -> Tensor | None:
        """Where each image is cropped in that epoch, beside the images; None: nowhere."""
        if self.views is None:
            return None
        count, side = len(self.images), self.images.shape[-1]
        return self.views.crops(self.seed, epoch, count, side).to(self.images.device)
