"""A whole data set as one uint8 tensor, augmented on the device in batches.

A CUDA device holds the set itself where there is room, so that a step copies nothing from the host.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.augment import (
    Draws,
    Normalisation,
    augment,
    derived_generator,
    epoch_order,
    resized,
)
from efficiency_bench.data.image_set import DataSplits
from efficiency_bench.data.loader import Batch, batch_sizes
from efficiency_bench.data.share import ALONE, Share

HOST = torch.device("cpu")

SHARE_OF_FREE_MEMORY = 0.5
"""The most of a GPU's free memory that a set may take, before the network is there; our choice:
the other half is for weights, activations and the optimizer."""


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
        share: Share = ALONE,
    ) -> None:
        """``image_px`` is the side of validation images; a set of another side is resized."""
        val_images = share.part(splits.val.images)
        pixels = splits.train.images.numel() + val_images.numel()
        home = device if fits(pixels, free_bytes(device)) else HOST
        self.notes = () if home == device else (kept_on_host(pixels),)
        self.images = splits.train.images.to(home)
        self.labels = splits.train.labels.to(home)
        self.val_images = val_images.to(home)
        self.val_labels = share.part(splits.val.labels).to(home)
        self.augmentation = augmentation
        self.flip = flip
        self.normalise = normalise
        self.image_px = image_px
        self.seed = seed
        self.device = device
        self.share = share

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """See Loader.epoch: this process's share of augmented batches in that epoch's order."""
        order = epoch_order(self.seed, epoch, len(self.labels)).to(self.images.device)
        parts = order.split(batch_sizes(len(order), batch_size))
        for step, whole in enumerate(parts[start_step:], start=start_step):
            generator = derived_generator(self.device, self.seed, "augment", epoch, step)
            draws = Draws(generator, len(whole), self.share)
            indices = self.share.part(whole)
            images = self.normalise(self.images[indices].to(self.device))
            images = augment(images, self.augmentation, self.flip, draws)
            yield resized(images, image_px), self.labels[indices].to(self.device)

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation: this process's share in the order stored."""
        for images, labels in zip(
            self.val_images.split(batch_size), self.val_labels.split(batch_size), strict=True
        ):
            pixels = self.normalise(images.to(self.device))
            yield resized(pixels, self.image_px), labels.to(self.device)
