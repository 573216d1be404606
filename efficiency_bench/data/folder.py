"""Image folders: what lies under train/ and val/, listed once, nothing decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from efficiency_bench.data.image_set import balanced_indices, check_same_classes
from efficiency_bench.errors import UserError

LAYOUT = "train/CLASS/IMAGE.JPEG and val/CLASS/IMAGE.JPEG"


@dataclass(frozen=True)
class PhotoSet:
    """Image files of one split, by class and name in order."""

    folder: Path
    paths: np.ndarray
    """Paths under ``folder`` as bytes [N]: one array, because a million Python strings would be
    copied into every worker as their reference counts change."""
    sizes: np.ndarray
    """Bytes of each file, int64 [N]."""
    labels: Tensor
    """int64 [N], places in ``classes``."""
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, index: int) -> Path:
        """Full path of one image."""
        return self.folder / os.fsdecode(self.paths[index])

    def subset(self, indices: list[int]) -> PhotoSet:
        """The files at ``indices``, in that order."""
        labels = self.labels[indices]
        return PhotoSet(self.folder, self.paths[indices], self.sizes[indices], labels, self.classes)


@dataclass(frozen=True)
class PhotoSplits:
    """Training and validation files of the same classes; UserError where they differ."""

    train: PhotoSet
    val: PhotoSet

    def __post_init__(self) -> None:
        check_same_classes(str(self.train.folder.parent), self.train.classes, self.val.classes)

    def digest(self) -> str:
        """SHA-256, hex, over relative paths and file sizes, not contents.

        Reading ImageNet's 150 GB would take longer than many a run; a file that changed
        without changing its size goes unnoticed.
        """
        sha = hashlib.sha256()
        for name, split in (("train", self.train), ("val", self.val)):
            for path, size in zip(split.paths, split.sizes, strict=True):
                sha.update(b"%s/%s\0%d\n" % (name.encode(), path, size))
        return sha.hexdigest()


def load(root: Path, train_images: int | None, val_images: int | None) -> PhotoSplits:
    """List ``root``/train and ``root``/val; with a count, a balanced subset of a split.

    UserError for a missing or empty folder, one without class folders, a class without images,
    and splits of different classes.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; data.root=DIR names the one with {LAYOUT}")
    splits = PhotoSplits(scan(root / "train"), scan(root / "val"))
    return PhotoSplits(
        _subset(splits.train, train_images, "data.train_images"),
        _subset(splits.val, val_images, "data.val_images"),
    )


def scan(folder: Path) -> PhotoSet:
    """List the images of each class folder in ``folder``, in the order of their names.

    Hidden folders and files that are no images by their name are passed over, as are folders
    inside a class.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; expected {LAYOUT} under data.root")
    try:
        with os.scandir(folder) as entries:
            classes = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
        listed = [sorted(_images(folder, name)) for name in classes]
    except OSError as error:
        raise UserError(f"cannot list {error.filename or folder}: {error.strerror}") from error
    if not classes:
        raise UserError(f"{folder} holds no class folders; expected {LAYOUT} under data.root")
    empty = next((name for name, files in zip(classes, listed, strict=True) if not files), None)
    if empty is not None:
        known = " ".join(IMG_EXTENSIONS)
        raise UserError(f"{folder / empty} holds no images (files ending in {known})")
    return PhotoSet(
        folder=folder,
        paths=np.array([path for files in listed for path, _ in files]),
        sizes=np.array([size for files in listed for _, size in files], dtype=np.int64),
        labels=torch.tensor([label for label, files in enumerate(listed) for _ in files]),
        classes=tuple(classes),
    )


def _images(folder: Path, name: str) -> Iterator[tuple[bytes, int]]:
    """Path under ``folder`` and size in bytes of each image of a class."""
    with os.scandir(folder / name) as entries:
        for entry in entries:
            if entry.name.lower().endswith(IMG_EXTENSIONS) and entry.is_file():
                yield os.fsencode(f"{name}/{entry.name}"), entry.stat().st_size


def _subset(whole: PhotoSet, count: int | None, key: str) -> PhotoSet:
    if count is None:
        return whole
    return whole.subset(balanced_indices(whole.labels.tolist(), len(whole.classes), count, key))
