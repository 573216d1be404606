"""Images that lie in the training and in the validation set, found by their content."""

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
"""The most files that are opened before a run, 3 s of two cores where they are cached.  Of files
with sizes drawn like ImageNet's (log-normal, mean 122 kB) 340,000 have one that is in both sets."""

TAIL_BYTES = 4096
"""The end of a file, which is read first: compressed images of one size differ in it."""

THREADS = 16
"""That open files: the disk of a cluster answers many at a time."""

DRAW_SEED = 20200508
"""Fixed (the day of arXiv:2005.04305), so that every run looks at the same files."""


@dataclass(frozen=True)
class TrainValOverlap:
    """What was found, and how many validation images were looked at."""

    found: int
    """Validation images whose content is that of a training image."""
    compared: int
    of: int
    """Validation images in all."""

    def check(self, where: str) -> TrainValOverlap:
        """Itself; UserError where every validation image is a training image."""
        if self.found and self.found == self.compared:
            raise UserError(
                f"{where}: all {self.found:,} validation images that were compared are training"
                " images too, so that nothing would be validated;\n"
                "name a folder whose validation images are others: data.root=DIR"
            )
        return self

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say of it; nothing where no image of any is in both."""
        if self.compared < self.of:
            return (
                f"{self.found:,} of {self.compared:,} validation images that were compared are"
                f" training images too; the other {self.of - self.compared:,} were not compared:"
                f" more than {FILES_OPENED:,} files would be opened",
            )
        if self.found:
            return (f"{self.found:,} of {self.of:,} validation images are training images too",)
        return ()


def compare_files(
    train: PhotoSet, val: PhotoSet, most: int | None = FILES_OPENED
) -> TrainValOverlap:
    """Validation files whose bytes are those of a training file.

    Only files whose size occurs in both sets are opened: their last bytes, then, where those are
    equal, all.  Where ``most`` files are not enough for all, the sizes to look at are drawn; None
    opens as many as there are.  UserError for a file that cannot be read.
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
    """Validation images, uint8 [N, 3, side, side], whose pixels are those of a training image."""
    known = set(_rows(train))
    return TrainValOverlap(sum(digest in known for digest in _rows(val)), len(val), len(val))


def _drawn(train: np.ndarray, val: np.ndarray, most: int | None) -> np.ndarray:
    """Sizes that occur in both, at least one, of which at most ``most`` files have one."""
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
    """SHA-256 over a file's size and its ``last`` bytes; None: all."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if last is not None:
                file.seek(max(0, size - last))
            return hashlib.sha256(b"%d " % size + file.read()).digest()
    except OSError as error:
        raise UserError(f"cannot read the image {path}: {error.strerror or error}") from error


def _rows(images: Tensor) -> Iterable[bytes]:
    return (hashlib.sha256(row).digest() for row in images.numpy())
