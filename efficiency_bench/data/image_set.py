"""A labelled set of images in memory, and the digest that names its content."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from efficiency_bench.errors import UserError

Tell = Callable[[str], None]
"""Takes one line for the user."""


def quiet(line: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 [N, 3, side, side], labels int64 [N], the classes' names in label order."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at ``indices`` (int64 [n]), in that order."""
        return ImageSet(self.images[indices], self.labels[indices], self.classes)


@dataclass(frozen=True)
class DataSplits:
    """Training and validation set of the same classes."""

    train: ImageSet
    val: ImageSet
    stored_digest: str | None = None
    """Of the files that the sets are mapped from, where those are known by one."""

    def digest(self) -> str:
        """SHA-256 (hex) over both sets: classes, shapes, labels and pixels as stored.

        That of their files where there is one: hashing ImageNet would take minutes a run.
        """
        if self.stored_digest is not None:
            return self.stored_digest
        digest = hashlib.sha256()
        for part in (self.train, self.val):
            digest.update(f"{part.classes} {tuple(part.images.shape)}\n".encode())
            digest.update(part.labels.numpy().tobytes())
            digest.update(part.images.numpy().tobytes())
        return digest.hexdigest()


def check_splits(splits: DataSplits, where: str) -> DataSplits:
    """``splits`` as they are, or UserError where no run could use them."""
    for name, part in (("training", splits.train), ("validation", splits.val)):
        if len(part.images) != len(part.labels):
            raise UserError(
                f"{where}: {len(part.images)} {name} images have {len(part.labels)} labels"
            )
        if len(part) == 0:
            raise UserError(f"{where}: the {name} set is empty")
        if part.images.dtype != torch.uint8 or part.images.ndim != 4:
            raise UserError(f"{where}: the {name} images are not uint8 [N, 3, side, side]")
        low, high = int(part.labels.min()), int(part.labels.max())
        if low < 0 or high >= len(part.classes):
            raise UserError(f"{where}: a {name} label lies outside 0..{len(part.classes) - 1}")
    check_classes(where, splits.train.classes, splits.val.classes)
    return splits


def check_classes(where: str, train: tuple[str, ...], val: tuple[str, ...]) -> None:
    """UserError for fewer than two classes, and for classes that the two sets do not share."""
    for name, classes in (("training", train), ("validation", val)):
        forms = [unicodedata.normalize("NFC", each) for each in classes]
        seen = Counter(forms)
        twice = [each for each, form in zip(classes, forms, strict=True) if seen[form] > 1]
        if twice and len(set(classes)) == len(classes):
            raise UserError(
                f"{where}: {name} classes {twice[0]!a} and {twice[1]!a} are one name in"
                " two Unicode forms; merge the two folders"
            )
    if train != val:
        raise UserError(
            f"{where}: training and validation classes differ; {_difference(train, val)}"
        )
    if len(train) < 2:
        named = f" ({train[0]})" if train else ""
        raise UserError(
            f"{where}: {len(train)} class{named}, and every answer would be right; two or more are"
            " needed:\none folder a class under train/ and under val/"
        )


def _difference(train: tuple[str, ...], val: tuple[str, ...]) -> str:
    """How the classes of the two sets differ."""
    only = sorted(set(train) - set(val)), sorted(set(val) - set(train))
    if not any(only):
        return "the same names in another order"
    forms = [{unicodedata.normalize("NFC", name): name for name in side} for side in only]
    if same := sorted(forms[0].keys() & forms[1].keys()):
        here, there = (ascii(side[same[0]]) for side in forms)
        return (
            f"{len(same)} by their Unicode form only: {here} in training is {there} in"
            " validation;\nrename the folders of one of them"
        )
    return "; ".join(
        f"only in {name}: {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}"
        for name, names in zip(("training", "validation"), only, strict=True)
        if names
    )


def set_line(train: Sequence[int], val: Sequence[int]) -> str:
    """Images and classes of both sets, each a pair of numbers, in words."""
    return (
        f"{train[0]:,} training images in {train[1]:,} class{'es' * (train[1] != 1)},"
        f" {val[0]:,} validation images in {val[1]:,}"
    )


def inner_val_images(train_images: int, share: float) -> int:
    """How many of ``train_images`` validate with ``data.inner_split=share``."""
    return round(share * train_images)


SUBSET_SEED = 20200508
"""Fixed (the day of arXiv:2005.04305), so that a subset is a property of the data."""


def balanced_indices(labels: Sequence[int], classes: int, count: int, key: str) -> list[int]:
    """Indices (ascending) of ``count`` images, as many of each class as whole numbers allow.

    Where ``count`` is no multiple of ``classes`` the first classes have one image more; all
    images are taken, balanced or not, where ``count`` is their number.
    Raises UserError, naming the setting ``key``, where that many cannot be drawn.
    """
    if not classes <= count <= len(labels):
        raise UserError(
            f"{key}={count} is not between {classes} (one a class) and {len(labels)} (all)"
        )
    if count == len(labels):
        return list(range(count))
    generator = np.random.default_rng(SUBSET_SEED)
    of_label = np.asarray(labels)
    drawn = []
    for label in range(classes):
        want = count // classes + (label < count % classes)
        members = generator.permutation(np.flatnonzero(of_label == label))
        if len(members) < want:
            raise UserError(
                f"{key}={count} needs {want} images of class {label}, which has "
                f"{len(members)}; name at most {len(members) * classes}"
            )
        drawn.append(members[:want])
    return np.sort(np.concatenate(drawn)).tolist()
