"""What a listing of images passes over: counted by reason, and refused where it is too much."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from efficiency_bench.errors import UserError

MOST_OF_A_CLASS = 0.20
"""Share of a class's images that may be left out without a word from the user; our choice."""

MOST_OF_A_SET = 0.05
"""The same for a whole training or validation set."""

NO_IMAGES = frozenset(
    (
        ".txt",
        ".csv",
        ".tsv",
        ".json",
        ".xml",
        ".md",
        ".html",
        ".yaml",
        ".yml",
        ".log",
        ".db",
        ".ini",
    )
)
"""Suffixes of lists, notes and what file managers leave: named, but not counted as images."""

LONGEST_SUFFIX = 10
"""Characters of a suffix that are shown, the dot included."""

MOST_REASONS = 6
"""Reasons that are named one by one."""

HIDDEN, NESTED, OUTSIDE_CLASSES = "hidden", "nested", "beside the class folders"


@dataclass
class SkippedFiles:
    """The files of one split that are not read."""

    reasons: Counter[str] = field(default_factory=Counter)
    """Number of files by suffix (``.jfif``), or by where they are (``nested``)."""
    images: Counter[str] = field(default_factory=Counter)
    """By class, those that may be images; ``OUTSIDE_CLASSES`` stands for those in none."""

    def add(self, entry: os.DirEntry[str], class_name: str) -> None:
        """Count an entry of a class folder; of a folder, the files in it however deep."""
        if entry.name.startswith("."):
            self._count(HIDDEN, class_name, _may_be_hidden_image(entry.name))
        elif entry.is_dir(follow_symlinks=False):
            for name in _files_below(entry.path):
                self._count(NESTED, class_name, _may_be_image(name))
        else:
            self._count(_reason(entry), class_name, _may_be_image(entry.name))

    def add_outside_classes(self, entry: os.DirEntry[str]) -> None:
        """Count an entry beside the class folders."""
        hidden = entry.name.startswith(".")
        self._count(
            HIDDEN if hidden else OUTSIDE_CLASSES,
            OUTSIDE_CLASSES,
            not hidden and _may_be_image(entry.name),
        )

    def _count(self, reason: str, class_name: str, may_be_image: bool) -> None:
        self.reasons[reason] += 1
        self.images[class_name] += may_be_image

    def check(self, folder: Path, kept: Mapping[str, int], switch: str) -> None:
        """UserError where too much is left out of a class or of the set.

        ``kept`` is the number of images by class that are read, ``switch`` what to type to go on.
        """
        of_class = [(self.images[name], number, folder / name) for name, number in kept.items()]
        whole = (self.images.total(), sum(kept.values()), folder)
        limits = [(*row, MOST_OF_A_CLASS) for row in of_class] + [(*whole, MOST_OF_A_SET)]
        for left, number, where, most in limits:
            if left > most * (left + number):
                raise UserError(
                    f"{where}: {left:,} of {left + number:,} images are left out, more than"
                    f" {most:.0%} (of {folder.name}: {words(self.reasons)});\nrename, convert or"
                    f" move them, or go on without them: {switch}"
                )


def words(reasons: Mapping[str, int]) -> str:
    """``11 .jfif, 4 nested``, the most frequent first; suffixes are a stranger's text."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    named = [
        f"{count:,} {reason if reason.isprintable() else ascii(reason)}"
        for reason, count in ordered[:MOST_REASONS]
    ]
    rest = sum(count for _, count in ordered[MOST_REASONS:])
    return ", ".join([*named, f"{rest:,} for other reasons"] if rest else named)


def _reason(entry: os.DirEntry[str]) -> str:
    if entry.is_file():
        return _suffix(entry.name) or "without a suffix"
    return "linked to nothing" if entry.is_symlink() else "not a file"


def _suffix(name: str) -> str:
    """The suffix in small letters, cut short; empty where there is none."""
    return Path(name).suffix.lower()[:LONGEST_SUFFIX]


def _may_be_image(name: str) -> bool:
    return not name.startswith(".") and _suffix(name) not in NO_IMAGES


def _may_be_hidden_image(name: str) -> bool:
    """True of what an unfinished copy leaves (``.x.JPEG.Ab3d``).

    A copy from macOS has a file ``._NAME`` beside each file, which is no image.
    """
    return not name.startswith("._") and any(known in name.lower() for known in IMG_EXTENSIONS)


def _files_below(folder: str) -> Iterator[str]:
    """Names of all files under a folder; links to folders are not followed."""
    for _, _, files in os.walk(folder):
        yield from files
