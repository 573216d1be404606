"""A whole data set as one uint8 tensor on the device, augmented there in batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.augment import (
    Normalisation,
    augment,
    derived_generator,
    epoch_order,
    resized,
)
from efficiency_bench.data.image_set import DataSplits
from efficiency_bench.data.loader import Batch, batch_sizes


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
    ) -> None:
        """``image_px`` is the side of validation images; a set of another side is resized."""
        self.images = splits.train.images.to(device)
        self.labels = splits.train.labels.to(device)
        self.val_images = splits.val.images.to(device)
        self.val_labels = splits.val.labels.to(device)
        self.augmentation = augmentation
        self.flip = flip
        self.normalise = normalise
        self.image_px = image_px
        self.seed = seed
        self.device = device

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """Augmented batches of one epoch, each training image once, in that epoch's order."""
        order = epoch_order(self.seed, epoch, len(self.labels)).to(self.device)
        parts = order.split(batch_sizes(len(order), batch_size))
        for step, indices in enumerate(parts[start_step:], start=start_step):
            generator = derived_generator(self.device, self.seed, "augment", epoch, step)
            images = self.normalise(self.images[indices])
            images = augment(images, self.augmentation, self.flip, generator)
            yield resized(images, image_px), self.labels[indices]

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """Every validation image once, in the order stored."""
        for images, labels in zip(
            self.val_images.split(batch_size), self.val_labels.split(batch_size), strict=True
        ):
            yield resized(self.normalise(images), self.image_px), labels
