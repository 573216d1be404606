"""Sizes of the public datasets, with their sources."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """Images and classes of a public dataset."""

    name: str
    train_images: int
    val_images: int
    classes: int
    source: str


DIGITS = DataSet("digits", 1437, 360, 10, "scikit-learn's digits, split here")
CIFAR10 = DataSet("cifar10", 50_000, 10_000, 10, "Krizhevsky 2009, chapter 3")
CIFAR100 = DataSet("cifar100", 50_000, 10_000, 100, "Krizhevsky 2009, chapter 3")
IMAGENET = DataSet(
    "imagenet", 1_281_167, 50_000, 1000, "ILSVRC 2012: Russakovsky et al. 2015, table 2"
)

CIFAR_BYTES = 60_000 * 3 * 32 * 32
"""Pixels of CIFAR-10 or CIFAR-100, uncompressed: one byte per channel."""

IMAGENET_BYTES = 137_800_000_000 + 6_700_000_000
"""Training and validation archives of ILSVRC 2012, 138 and 6.7 GB: from memory, unchecked."""
