"""Read CIFAR-10 and CIFAR-100 in the layout of their Python archives, complete or a subset.

torchvision cannot read them, because it checks checksums and so rejects subsets.  Here the digest
of the images is recorded instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from efficiency_bench.data import fetch, restricted_pickle
from efficiency_bench.data.fetch import RemoteArchive
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.errors import UserError

SIDE_PX = 32
CHANNELS = 3


@dataclass(frozen=True)
class Archive:
    """The layout of an archive (Krizhevsky 2009, cs.toronto.edu/~kriz/cifar.html)."""

    source: RemoteArchive
    train_files: tuple[str, ...]
    test_file: str
    label_key: str
    meta_file: str
    class_names_key: str


# URLs and checksums as in torchvision.datasets.cifar; a test compares them.
CIFAR10 = Archive(
    source=RemoteArchive(
        name="CIFAR-10",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        folder="cifar-10-batches-py",
    ),
    train_files=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test_file="test_batch",
    label_key="labels",
    meta_file="batches.meta",
    class_names_key="label_names",
)
CIFAR100 = Archive(
    source=RemoteArchive(
        name="CIFAR-100",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder="cifar-100-python",
    ),
    train_files=("train",),
    test_file="test",
    label_key="fine_labels",
    meta_file="meta",
    class_names_key="fine_label_names",
)


ARCHIVES = {"cifar10": CIFAR10, "cifar100": CIFAR100}


def load(name: str, root: Path, download: bool) -> DataSplits:
    """Training and test images, uint8 [N, 3, 32, 32], in file order, with the fine classes.

    ``name`` is a key of ARCHIVES.  ``root`` holds the archive's folder; if it is missing and
    ``download`` is true, it is fetched.  UserError for a file that is missing, damaged, from
    another archive, or a copy of another file.
    """
    archive = ARCHIVES[name]
    folder = root / archive.source.folder
    if not folder.is_dir():
        if not download:
            raise UserError(
                f"no {archive.source.folder} in {root}; data.root=DIR names the folder that"
                f" contains it,\nor fetch it: efficiency-bench data fetch {name} --root {root}"
            )
        fetch.fetch(archive.source, root)
    classes = _read_classes(archive, folder / archive.meta_file)
    files = (*archive.train_files, archive.test_file)
    batches = [_read_batch(archive, folder / file, len(classes)) for file in files]
    _check_different(folder, name, files, batches)
    return DataSplits(_join(batches[:-1], classes), _join(batches[-1:], classes))


def _check_different(
    folder: Path, name: str, files: Sequence[str], batches: Sequence[tuple[np.ndarray, np.ndarray]]
) -> None:
    """UserError if a file holds the same images as an earlier one."""
    seen: dict[bytes, str] = {}
    for file, (pixels, _) in zip(files, batches, strict=True):
        first = seen.setdefault(hashlib.sha256(pixels.tobytes()).digest(), file)
        if first != file:
            raise UserError(
                f"{folder}: {file} holds the same images as {first};\nremove the folder and"
                f" fetch it again: efficiency-bench data fetch {name} --root {folder.parent}"
            )


def _read_classes(archive: Archive, path: Path) -> tuple[str, ...]:
    names = _field(archive, path, restricted_pickle.load(path), archive.class_names_key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _damaged(path, f"{archive.class_names_key} is not a list of names")
    return tuple(names)


def _read_batch(archive: Archive, path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the pixels, uint8 [N, 3072], and labels, int64 [N], of one file."""
    content = restricted_pickle.load(path)
    labels = _field(archive, path, content, archive.label_key)
    pixels = _field(archive, path, content, "data")
    width = CHANNELS * SIDE_PX * SIDE_PX
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.shape[1:] != (width,)
    ):
        raise _damaged(path, f"data is not an array of {width} bytes per image")
    if not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        raise _damaged(path, f"{archive.label_key} is not a list of integers")
    if len(labels) != len(pixels):
        raise _damaged(path, f"{len(pixels)} images have {len(labels)} labels")
    wrong = next((label for label in labels if not 0 <= label < classes), None)
    if wrong is not None:
        raise _damaged(path, f"label {wrong} is outside 0 to {classes - 1}")
    return pixels, np.array(labels, dtype=np.int64)


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path}: {why}; {restricted_pickle.AGAIN}")


def _field(archive: Archive, path: Path, content: dict[str, Any], key: str) -> Any:
    if key not in content:
        raise UserError(
            f"{path} is not a file of {archive.source.name}'s Python archive: it has no {key!r};"
            f" {restricted_pickle.AGAIN}"
        )
    return content[key]


def _join(parts: Sequence[tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...]) -> ImageSet:
    # Each row is one image: the red, green and blue planes, each in row-major order.
    pixels = np.concatenate([part[0] for part in parts])
    images = torch.from_numpy(pixels.reshape(-1, CHANNELS, SIDE_PX, SIDE_PX))
    labels = torch.from_numpy(np.concatenate([part[1] for part in parts]))
    return ImageSet(images, labels, classes)
