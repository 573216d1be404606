"""Labelled images in memory, with checks, balanced subsets and a digest of their content."""

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
"""Prints one line for the user."""


def quiet(line: str) -> None:
    """Print nothing."""


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 [N, 3, side, side], labels int64 [N], and class names in label order."""

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
    """A training set and a validation set with the same classes."""

    train: ImageSet
    val: ImageSet
    stored_digest: str | None = None
    """Digest of the files that the sets are mapped from, if they have one."""

    def digest(self) -> str:
        """SHA-256 (hex) over both sets: classes, shapes, labels and stored pixels.

        ``stored_digest`` if there is one, because hashing ImageNet would add minutes to each run.
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
    """Return ``splits``, or raise UserError if no run could use them."""
    for name, part in (("training", splits.train), ("validation", splits.val)):
        if len(part.images) != len(part.labels):
            raise UserError(
                f"{where}: {len(part.images)} {name} images have {len(part.labels)} labels; give"
                " each image one label"
            )
        if len(part) == 0:
            raise UserError(f"{where}: the {name} set is empty; put images into it")
        if part.images.dtype != torch.uint8 or part.images.ndim != 4:
            raise UserError(
                f"{where}: the {name} images are not uint8 [N, 3, side, side]; convert them"
            )
        low, high = int(part.labels.min()), int(part.labels.max())
        if low < 0 or high >= len(part.classes):
            raise UserError(
                f"{where}: a {name} label lies outside 0..{len(part.classes) - 1}; correct it, or"
                " name more classes"
            )
    check_classes(where, splits.train.classes, splits.val.classes)
    return splits


def check_classes(where: str, train: tuple[str, ...], val: tuple[str, ...]) -> None:
    """UserError for fewer than two classes, or if the two sets have different classes."""
    for name, classes in (("training", train), ("validation", val)):
        forms = [unicodedata.normalize("NFC", each) for each in classes]
        seen = Counter(forms)
        twice = [each for each, form in zip(classes, forms, strict=True) if seen[form] > 1]
        if twice and len(set(classes)) == len(classes):
            raise UserError(
                f"{where}: {name} classes {twice[0]!a} and {twice[1]!a} are the same name"
                " in two Unicode forms; merge the two folders"
            )
    if train != val:
        raise UserError(
            f"{where}: training and validation classes differ; {_difference(train, val)}\n"
            "rename or remove folders of one set until both have the same"
        )
    if len(train) < 2:
        named = f" ({train[0]})" if train else ""
        raise UserError(
            f"{where}: {len(train)} class{named}, but a classifier needs two or more;\n"
            "make one folder per class under train/ and under val/"
        )


def _difference(train: tuple[str, ...], val: tuple[str, ...]) -> str:
    """Describe how the classes of the two sets differ."""
    only = sorted(set(train) - set(val)), sorted(set(val) - set(train))
    if not any(only):
        return "the same names in a different order"
    forms = [{unicodedata.normalize("NFC", name): name for name in side} for side in only]
    if same := sorted(forms[0].keys() & forms[1].keys()):
        here, there = (ascii(side[same[0]]) for side in forms)
        return (
            f"{len(same)} in their Unicode form only: {here} in training is {there} in validation"
        )
    return "; ".join(
        f"only in {name}: {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}"
        for name, names in zip(("training", "validation"), only, strict=True)
        if names
    )


def set_line(counts: Sequence[tuple[int, int]], used: Sequence[int | None] = (None, None)) -> str:
    """One line with the number of images and classes of the training and the validation set.

    ``counts``: images and classes of each; ``used``: how many images of each the run uses; None:
    all.
    """
    (images, classes), (val_images, val_classes) = counts
    training = _used_of(used[0], images)
    validation = (
        f"{_used_of(used[1], val_images)} for validation"
        if used[1] is not None and used[1] < val_images
        else f"{val_images:,} validation images in {val_classes:,}"
    )
    return f"{training} training images in {classes:,} class{'es' * (classes != 1)}, {validation}"


def _used_of(used: int | None, images: int) -> str:
    return f"{images:,}" if used is None or used >= images else f"{used:,} of {images:,}"


def inner_val_images(train_images: int, share: float) -> int:
    """How many of ``train_images`` validate with ``data.inner_split=share``."""
    return round(share * train_images)


SUBSET_SEED = 20200508
"""Fixed (the day of arXiv:2005.04305), so that a subset is a property of the data."""


def balanced_indices(labels: Sequence[int], classes: int, count: int, key: str) -> list[int]:
    """Ascending indices of a random subset of ``count`` images, with equally many of each class.

    If ``count`` is not a multiple of ``classes``, the first classes get one image more.  If it is
    the number of all images, all are taken, balanced or not.  Raises UserError, naming the setting
    ``key``, if there are too few images.
    """
    if not classes <= count <= len(labels):
        raise UserError(
            f"{key}={count} is not between {classes} (one per class) and {len(labels)} (all);"
            f" type {key}={min(len(labels), 100 * classes)}"
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
                f"{len(members)}; type {key}={len(members) * classes} or less"
            )
        drawn.append(members[:want])
    return np.sort(np.concatenate(drawn)).tolist()
