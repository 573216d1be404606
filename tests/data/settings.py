"""Configurations for tests of data: no normalisation but to [-1, 1], no augmentation."""

from __future__ import annotations

from typing import Any

import torch

from efficiency_bench.config import AugmentationConfig, DataConfig, RecipeConfig
from efficiency_bench.data import Batch, Data, build_data
from efficiency_bench.data.loader import WHOLE_BATCH, Shard


def data_config(name: str, image_px: int, **settings: Any) -> DataConfig:
    """A DataConfig whose pixels run from -1 to 1."""
    return DataConfig(
        name=name, image_px=image_px, mean=[0.5] * 3, std=[0.5] * 3, **{"workers": 0, **settings}
    )


def recipe_config(batch_size: int = 4, **augmentation: Any) -> RecipeConfig:
    """A RecipeConfig of which only batch and augmentation matter here."""
    return RecipeConfig(batch_size=batch_size, augmentation=AugmentationConfig(**augmentation))


def build(
    data: DataConfig,
    recipe: RecipeConfig | None = None,
    seed: int = 0,
    shard: Shard = WHOLE_BATCH,
) -> Data:
    """Build on the CPU."""
    return build_data(data, recipe or recipe_config(), seed, torch.device("cpu"), shard)


def same_batches(batches: list[Batch], others: list[Batch]) -> bool:
    """Whether both are the same to the bit."""
    return len(batches) == len(others) and all(
        torch.equal(a, b) and torch.equal(c, d)
        for (a, c), (b, d) in zip(batches, others, strict=True)
    )


CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat", "deer"]
CIFAR10_NAMES += ["dog", "frog", "horse", "ship", "truck"]
