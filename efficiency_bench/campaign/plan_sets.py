"""How many images a data set has and what it takes on the disk, without reading an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from efficiency_bench.config import DataConfig
from efficiency_bench.data import folder
from efficiency_bench.data.loaders import DEFAULT_ROOT
from efficiency_bench.errors import unknown


@dataclass(frozen=True)
class SetSize:
    """A data set's images and bytes."""

    train_images: int
    val_images: int
    classes: int
    disk_bytes: int | None
    """None: unknown."""
    source: str


CIFAR_BYTES = 60_000 * 3072
"""The files hold the pixels as they are: 3 channels of 32 x 32."""

IMAGENET_BYTES = 137_800_000_000 + 6_700_000_000
"""Training and validation archive of ILSVRC 2012: 138 and 6.7 GB, written down from memory."""

PUBLISHED = {
    "digits": SetSize(1437, 360, 10, 0, "the set that comes with scikit-learn"),
    "cifar10": SetSize(50_000, 10_000, 10, CIFAR_BYTES, "Krizhevsky 2009"),
    "cifar100": SetSize(50_000, 10_000, 100, CIFAR_BYTES, "Krizhevsky 2009"),
    "imagenet": SetSize(1_281_167, 50_000, 1000, IMAGENET_BYTES, "ILSVRC 2012 as published"),
    # how large the files are depends on how they are written
    "imagenet_ffcv": SetSize(1_281_167, 50_000, 1000, None, "ILSVRC 2012 as published"),
    "imagenet_memory": SetSize(1_281_167, 50_000, 1000, None, "ILSVRC 2012 as published"),
}

WRITTEN = {"imagenet_ffcv": "*.beton", "imagenet_memory": "*.npy"}
"""Files in the folder of a set whose size depends on how it was written."""


def set_size(data: DataConfig) -> SetSize:
    """The set that ``data`` names: counted where its folder is at hand, else as published.

    Raises UserError for an unknown name, and for a folder that cannot be what it should be.
    """
    if data.name not in PUBLISHED:
        raise unknown("data", data.name, PUBLISHED)
    size = PUBLISHED[data.name]
    root = Path(data.root or DEFAULT_ROOT)
    if data.name == "imagenet" and root.is_dir():
        splits = folder.load(root, None, None)
        size = SetSize(
            len(splits.train),
            len(splits.val),
            len(splits.train.classes),
            int(splits.train.sizes.sum() + splits.val.sizes.sum()),
            f"counted in {root}",
        )
    elif data.name in WRITTEN and (files := sorted(root.glob(WRITTEN[data.name]))):
        written = sum(file.stat().st_size for file in files)
        size = replace(size, disk_bytes=written, source=f"{size.source}; bytes of {root}")
    return replace(
        size,
        train_images=data.train_images or size.train_images,
        val_images=data.val_images or size.val_images,
    )
