"""Files that a listing of images skips: counted by reason; too many are an error."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from efficiency_bench.errors import UserError

MOST_OF_A_CLASS = 0.20
"""Fraction of a class's images that may be left out without the user's consent; our choice."""

MOST_OF_A_SET = 0.05
"""The same for a whole training or validation set."""

NOT_IMAGES = frozenset(
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
"""Suffixes of text files and of files left by file managers: reported, not counted as images."""

LONGEST_SUFFIX = 10
"""Printed characters of a suffix, including the dot."""

MOST_REASONS = 6
"""Reasons that are listed one by one; the others are summed."""

HIDDEN, NESTED, OUTSIDE_CLASSES = "hidden", "nested", "outside the class folders"


@dataclass
class SkippedFiles:
    """The files of one split that are skipped."""

    reasons: Counter[str] = field(default_factory=Counter)
    """Number of files by suffix (``.jfif``) or location (``nested``)."""
    images: Counter[str] = field(default_factory=Counter)
    """Number of possible images by class; ``OUTSIDE_CLASSES``: those in no class folder."""

    def add(self, entry: os.DirEntry[str], class_name: str) -> None:
        """Count an entry of a class folder; for a folder, all files below it."""
        if entry.name.startswith("."):
            self._count(HIDDEN, class_name, _may_be_hidden_image(entry.name))
        elif entry.is_dir(follow_symlinks=False):
            for name in _files_below(entry.path):
                self._count(NESTED, class_name, _may_be_image(name))
        else:
            self._count(_reason(entry), class_name, _may_be_image(entry.name))

    def add_outside_classes(self, entry: os.DirEntry[str]) -> None:
        """Count an entry outside the class folders."""
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
        """UserError if too many images of a class or of the set are left out.

        ``kept`` is the number of images read, by class; ``switch`` is the option that allows it.
        """
        of_class = [(self.images[name], number, folder / name) for name, number in kept.items()]
        whole = (self.images.total(), sum(kept.values()), folder)
        limits = [(*row, MOST_OF_A_CLASS) for row in of_class] + [(*whole, MOST_OF_A_SET)]
        for left, number, where, most in limits:
            if left > most * (left + number):
                raise UserError(
                    f"{where}: {left:,} of {left + number:,} images are left out, more than"
                    f" {most:.0%} (of {folder.name}: {reasons_text(self.reasons)});\n"
                    f"rename, convert or move them, or allow it: {switch}"
                )


def reasons_text(reasons: Mapping[str, int]) -> str:
    """Text like ``11 .jfif, 4 nested``, most frequent first; unprintable suffixes are escaped."""
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
    return "broken link" if entry.is_symlink() else "not a file"


def _suffix(name: str) -> str:
    """The suffix in lower case, truncated; empty if there is none."""
    return Path(name).suffix.lower()[:LONGEST_SUFFIX]


def _may_be_image(name: str) -> bool:
    return not name.startswith(".") and _suffix(name) not in NOT_IMAGES


def _may_be_hidden_image(name: str) -> bool:
    """Whether it may be left over from an unfinished copy (``.x.JPEG.Ab3d``).

    Copies from macOS have a file ``._NAME`` next to each file, which is not an image.
    """
    return not name.startswith("._") and any(known in name.lower() for known in IMG_EXTENSIONS)


def _files_below(folder: str) -> Iterator[str]:
    """Names of all files below a folder; symbolic links to folders are not followed."""
    for _, _, files in os.walk(folder):
        yield from files
