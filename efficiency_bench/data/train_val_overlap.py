"""Detect validation images that are also training images, by comparing their content."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from efficiency_bench.data.folder import PhotoSet
from efficiency_bench.errors import UserError

FILES_OPENED = 20_000
"""Limit on the files opened before a run: 3 s on two cores if they are cached.  With file sizes
drawn like ImageNet's (log-normal, mean 122 kB), 340,000 files have a size that is in both sets."""

TAIL_BYTES = 4096
"""Bytes at a file's end, which are read first: compressed images of equal size differ there."""

THREADS = 16
"""Threads that open files: a cluster's file system serves many requests at a time."""

DRAW_SEED = 20200508
"""Fixed (the day of arXiv:2005.04305), so that every run compares the same files."""


@dataclass(frozen=True)
class TrainValOverlap:
    """How many validation images are also training images, and how many were compared."""

    found: int
    """Validation images with the same content as a training image."""
    compared: int
    of: int
    """All validation images."""

    def check(self, where: str) -> TrainValOverlap:
        """Return self; UserError if all compared validation images are training images."""
        if self.found and self.found == self.compared:
            raise UserError(
                f"{where}: all {self.found:,} validation images that were compared are also"
                " training images;\n"
                "val/ must hold other images than train/: data.root=DIR names such a folder"
            )
        return self

    @property
    def notes(self) -> tuple[str, ...]:
        """A note for the user; empty if all images were compared and none is in both sets."""
        if self.compared < self.of:
            return (
                f"{self.found:,} of {self.compared:,} validation images that were compared are"
                f" also training images; the other {self.of - self.compared:,} were not compared,"
                f" because more than {FILES_OPENED:,} files would be opened",
            )
        if self.found:
            return (f"{self.found:,} of {self.of:,} validation images are also training images",)
        return ()


def compare_files(
    train: PhotoSet, val: PhotoSet, most: int | None = FILES_OPENED
) -> TrainValOverlap:
    """Count the validation files with the same bytes as a training file.

    Only files whose size occurs in both sets are opened; their last bytes are compared first, and
    the whole files only if those are equal.  At most ``most`` files are opened (None: no limit); if
    there are more, a fixed random sample of the sizes is compared.  UserError for an unreadable
    file.
    """
    sizes = _drawn(train.sizes, val.sizes, most)
    ours, theirs = (np.flatnonzero(np.isin(part.sizes, sizes))[:most] for part in (train, val))
    common = np.isin(val.sizes, train.sizes)
    compared = int((~common).sum()) + len(theirs)
    with ThreadPoolExecutor(THREADS) as pool:

        def digests(part: PhotoSet, places: Iterable[int], last: int | None) -> list[bytes]:
            paths = [part.path(int(place)) for place in places]
            return list(pool.map(functools.partial(_digest, last=last), paths))

        tails = digests(train, ours, TAIL_BYTES), digests(val, theirs, TAIL_BYTES)
        alike = set(tails[0]) & set(tails[1])
        twins = [
            [place for place, tail in zip(places, side, strict=True) if tail in alike]
            for places, side in zip((ours, theirs), tails, strict=True)
        ]
        known = set(digests(train, twins[0], None))
        found = sum(digest in known for digest in digests(val, twins[1], None))
    return TrainValOverlap(found, compared, len(val))


def compare_pixels(train: Tensor, val: Tensor) -> TrainValOverlap:
    """Count the validation images, uint8 [N, 3, side, side], that equal a training image."""
    known = set(_rows(train))
    return TrainValOverlap(sum(digest in known for digest in _rows(val)), len(val), len(val))


def _drawn(train: np.ndarray, val: np.ndarray, most: int | None) -> np.ndarray:
    """Sizes that occur in both sets, at least one; at most ``most`` files have one of them."""
    sizes = np.intersect1d(train, val)
    if most is None or len(sizes) == 0:
        return sizes
    drawn = np.random.default_rng(DRAW_SEED).permutation(sizes)
    order = np.argsort(drawn)
    files = np.zeros(len(drawn), dtype=np.int64)
    for part in (train, val):
        places = np.searchsorted(drawn[order], part[np.isin(part, sizes)])
        files += np.bincount(order[places], minlength=len(drawn))
    return drawn[: max(1, int(np.searchsorted(np.cumsum(files), most, side="right")))]


def _digest(path: Path, last: int | None) -> bytes:
    """SHA-256 over a file's size and its ``last`` bytes; None: all bytes."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if last is not None:
                file.seek(max(0, size - last))
            return hashlib.sha256(b"%d " % size + file.read()).digest()
    except OSError as error:
        raise UserError(
            f"cannot read the image {path}: {error.strerror or error}; make it readable, or move"
            " it away"
        ) from error


def _rows(images: Tensor) -> Iterable[bytes]:
    return (hashlib.sha256(row).digest() for row in images.numpy())
