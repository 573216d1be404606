"""Image folders: list the images under train/ and val/ once, without decoding any."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from efficiency_bench.data.image_set import Tell, balanced_indices, check_classes, quiet, set_line
from efficiency_bench.data.skipped_files import SkippedFiles, reasons_text
from efficiency_bench.errors import UserError

LAYOUT = "train/CLASS/IMAGE.JPEG and val/CLASS/IMAGE.JPEG"


@dataclass(frozen=True)
class PhotoSet:
    """Image files of one split, sorted by class and name."""

    folder: Path
    paths: np.ndarray
    """Paths relative to ``folder``, bytes [N].

    One array, because a million Python strings would be copied into every worker as their reference
    counts change.
    """
    sizes: np.ndarray
    """Size of each file in bytes, int64 [N]."""
    labels: Tensor
    """int64 [N], indices into ``classes``."""
    classes: tuple[str, ...]
    skipped: SkippedFiles = field(default_factory=SkippedFiles)
    """The files in ``folder`` that are not read."""

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, index: int) -> Path:
        """Full path of one image."""
        return self.folder / os.fsdecode(self.paths[index])

    def listing(self) -> dict[str, Any]:
        """What ``listed`` needs, as JSON values: some 50 bytes an image."""
        return {
            "folder": str(self.folder),
            "paths": [os.fsdecode(path) for path in self.paths],
            "sizes": self.sizes.tolist(),
            "labels": self.labels.tolist(),
            "classes": list(self.classes),
        }

    @staticmethod
    def listed(listing: Mapping[str, Any]) -> PhotoSet:
        """The set of a ``listing`` from another process, without looking at the disk."""
        return PhotoSet(
            folder=Path(listing["folder"]),
            paths=np.array([os.fsencode(path) for path in listing["paths"]], dtype=np.bytes_),
            sizes=np.array(listing["sizes"], dtype=np.int64),
            labels=torch.tensor(listing["labels"], dtype=torch.int64),
            classes=tuple(listing["classes"]),
        )

    def subset(self, indices: list[int]) -> PhotoSet:
        """The files at ``indices``, in that order."""
        return replace(
            self,
            paths=self.paths[indices],
            sizes=self.sizes[indices],
            labels=self.labels[indices],
        )


@dataclass(frozen=True)
class PhotoSplits:
    """Training and validation files; UserError if their classes differ."""

    train: PhotoSet
    val: PhotoSet

    def __post_init__(self) -> None:
        check_classes(str(self.train.folder.parent), self.train.classes, self.val.classes)

    @property
    def notes(self) -> tuple[str, ...]:
        """One note on skipped files for each split that has any."""
        return tuple(
            f"skipped in {split.folder.name}: {reasons_text(split.skipped.reasons)}"
            for split in (self.train, self.val)
            if split.skipped.reasons
        )

    def digest(self) -> str:
        """SHA-256 (hex) over relative paths and file sizes, not contents.

        Reading ImageNet's 150 GB would take longer than many runs; so a changed file of the same
        size goes unnoticed.
        """
        sha = hashlib.sha256()
        for name, split in (("train", self.train), ("val", self.val)):
            for path, size in zip(split.paths, split.sizes, strict=True):
                sha.update(b"%s/%s\0%d\n" % (name.encode(), path, size))
        return sha.hexdigest()


def load(
    root: Path,
    train_images: int | None,
    val_images: int | None,
    *,
    allow_left_out: bool = False,
    switch: str = "data.allow_left_out=true",
    tell: Tell = quiet,
) -> PhotoSplits:
    """List ``root``/train and ``root``/val; a given count selects a balanced subset of a split.

    ``tell`` gets one line on the images and the skipped files, before any of it is rejected.

    UserError for a missing or empty folder, one without class folders, a class without images,
    different classes in the two splits, or fewer than two classes.  Also if over 20 % of a class or
    5 % of a split would be left out, unless ``allow_left_out``; ``switch`` is the option for that
    in the message.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; data.root=DIR names the folder with {LAYOUT}")
    train, val = scan(root / "train"), scan(root / "val")
    reasons = train.skipped.reasons + val.skipped.reasons
    counts = [(len(part), len(part.classes)) for part in (train, val)]
    line = set_line(counts, used=(train_images, val_images))
    tell(f"{root}: {line}; skipped: {reasons_text(reasons) or 'nothing'}")
    for part in (train, val):
        check_listed(part)
    splits = PhotoSplits(train, val)
    if not allow_left_out:
        for part in (train, val):
            kept = torch.bincount(part.labels, minlength=len(part.classes)).tolist()
            part.skipped.check(part.folder, dict(zip(part.classes, kept, strict=True)), switch)
    return PhotoSplits(
        _subset(splits.train, train_images, "data.train_images"),
        _subset(splits.val, val_images, "data.val_images"),
    )


def scan(folder: Path) -> PhotoSet:
    """List the images of each class folder in ``folder``, sorted by name.

    Skips and counts hidden files and folders, files without an image suffix, and folders inside a
    class folder.  UserError for a folder that cannot be listed.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; data.root=DIR must contain {LAYOUT}")
    skipped, classes = SkippedFiles(), []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir() and not entry.name.startswith("."):
                    classes.append(entry.name)
                else:
                    skipped.add_outside_classes(entry)
        classes.sort()
        listed = [sorted(_images(folder, name, skipped)) for name in classes]
    except OSError as error:
        raise UserError(
            f"cannot list {error.filename or folder}: {error.strerror}; make it readable, or name"
            " another data.root="
        ) from error
    labels = [label for label, files in enumerate(listed) for _ in files]
    return PhotoSet(
        folder=folder,
        paths=np.array([path for files in listed for path, _ in files], dtype=np.bytes_),
        sizes=np.array([size for files in listed for _, size in files], dtype=np.int64),
        labels=torch.tensor(labels, dtype=torch.int64),
        classes=tuple(classes),
        skipped=skipped,
    )


def check_listed(photos: PhotoSet) -> None:
    """UserError if there are no class folders, or if a class has no images."""
    folder = photos.folder
    if not photos.classes:
        raise UserError(f"{folder} has no class folders; data.root=DIR must contain {LAYOUT}")
    counts = torch.bincount(photos.labels, minlength=len(photos.classes))
    if counts.min() == 0:
        empty = photos.classes[int(counts.argmin())]
        left = photos.skipped.images[empty]
        there = f", but {left:,} other files, which are skipped" if left else ""
        known = " ".join(IMG_EXTENSIONS)
        raise UserError(
            f"{folder / empty} has no images (files ending in {known}){there};\n"
            "put images there, or remove the folder from train/ and val/"
        )


def _images(folder: Path, name: str, skipped: SkippedFiles) -> list[tuple[bytes, int]]:
    """Path relative to ``folder`` and size in bytes of each image of a class."""
    found = []
    with os.scandir(folder / name) as entries:
        for entry in entries:
            known = entry.name.lower().endswith(IMG_EXTENSIONS) and entry.name[0] != "."
            if known and entry.is_file():
                found.append((os.fsencode(f"{name}/{entry.name}"), entry.stat().st_size))
            else:
                skipped.add(entry, name)
    return found


def _subset(whole: PhotoSet, count: int | None, key: str) -> PhotoSet:
    if count is None:
        return whole
    return whole.subset(balanced_indices(whole.labels.tolist(), len(whole.classes), count, key))
