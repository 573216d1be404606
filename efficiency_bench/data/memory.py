"""A whole data set as one uint8 tensor on the device, augmented there in batches."""

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
        self.images = splits.train.images.to(device)
        self.labels = splits.train.labels.to(device)
        self.val_images = share.part(splits.val.images).to(device)
        self.val_labels = share.part(splits.val.labels).to(device)
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
        order = epoch_order(self.seed, epoch, len(self.labels)).to(self.device)
        parts = order.split(batch_sizes(len(order), batch_size))
        for step, whole in enumerate(parts[start_step:], start=start_step):
            generator = derived_generator(self.device, self.seed, "augment", epoch, step)
            draws = Draws(generator, len(whole), self.share)
            indices = self.share.part(whole)
            images = self.normalise(self.images[indices])
            images = augment(images, self.augmentation, self.flip, draws)
            yield resized(images, image_px), self.labels[indices]

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation: this process's share in the order stored."""
        for images, labels in zip(
            self.val_images.split(batch_size), self.val_labels.split(batch_size), strict=True
        ):
            yield resized(self.normalise(images), self.image_px), labels
