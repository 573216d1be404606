"""Read untrusted files, and report everything in them that is invalid.

Nothing here guesses or repairs.  An unusable line is skipped and recorded with its file, its number
and the reason.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efficiency_bench.ledger.events import reject_constant

MAX_LINE_BYTES = 1_000_000
"""Longest line; a row of these formats is about a kilobyte."""

MAX_FILE_BYTES = 256 * 2**20
"""Largest file; the longest public MLPerf logs have some ten megabytes."""

MAX_TEXT_CHARS = 200
"""Names and notes from a file are truncated to this length in an entry."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class SkippedLine:
    """Something in a file that was skipped, and why."""

    path: str
    """Path of the file, relative to the imported folder."""
    line: int | None
    """Line number from 1; None: the file as a whole."""
    reason: str

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}, line {self.line}"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Source:
    """One file: its path, its name in messages, and what was skipped in it."""

    path: Path
    name: str
    skipped: list[SkippedLine] = field(default_factory=list)

    def skip(self, reason: str, line: int | None = None) -> None:
        """Record that ``line`` (None: the whole file) was skipped."""
        self.skipped.append(SkippedLine(self.name, line, reason))

    def sibling(self, name: str) -> Source:
        """Return the file ``name`` in the same folder, which shares this list of skipped lines."""
        called = self.name.rpartition("/")[0]
        return Source(self.path.with_name(name), f"{called}/{name}".lstrip("/"), self.skipped)

    def lines(self, marker: bytes = b"") -> Iterator[tuple[int, str]]:
        """Yield number and text of each non-blank line that contains ``marker``.

        Reads UTF-8 with or without a byte order mark, and Unix or Windows line ends.  A line that
        is too long or not UTF-8 is recorded as skipped and yielded as "", so that callers know a
        row may be missing; an unreadable file is recorded as skipped.
        """
        try:
            status = self.path.stat()  # before opening: opening a pipe waits for its writer
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
                self.skip(f"not a regular file of at most {MAX_FILE_BYTES} bytes")
                return
            with self.path.open("rb") as file:
                for number, raw in enumerate(file, start=1):
                    if marker in raw and (text := self._text(number, raw)) is not None:
                        yield number, text
        except OSError as error:
            self.skip(f"cannot be read: {error.strerror}")

    def _text(self, number: int, raw: bytes) -> str | None:
        """Return the line's text, "" if it is unreadable, None if it is blank."""
        if len(raw) > MAX_LINE_BYTES:
            self.skip(f"longer than {MAX_LINE_BYTES} bytes", number)
            return ""
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self.skip(f"not UTF-8 at byte {error.start + 1}", number)
            return ""
        return (text.removeprefix("\ufeff") if number == 1 else text).strip() or None


def files_under(path: Path, patterns: Sequence[str]) -> list[Source]:
    """Return ``path`` itself if it is a file, else the files in it whose names match, sorted.

    Hidden folders and links to folders are not searched; a link to a file is recorded as skipped,
    since its target may be outside ``path``.
    """
    if not path.is_dir():
        return [Source(path, _printable(path.name))]
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        files = (Path(folder, name) for name in names)
        found += [file for file in files if any(file.match(pattern) for pattern in patterns)]
    sources = [
        Source(file, _printable(file.relative_to(path).as_posix())) for file in sorted(found)
    ]
    for source in sources:
        if source.path.is_symlink():
            source.skip("a link: name the file that it points to")
    return sources


def decimal(text: object) -> float | None:
    """Parse a finite number from text (``79.1``, ``7.9e1``) or JSON; None if invalid."""
    if isinstance(text, str):
        text = text.strip()
        if len(text) > MAX_TEXT_CHARS or not _DECIMAL.fullmatch(text):
            return None
    elif isinstance(text, bool) or not isinstance(text, int | float):
        return None
    try:
        value = float(text)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def fraction(text: object, whole: float) -> float | None:
    """Parse an accuracy out of ``whole`` (1, or 100 for percent) as a fraction; None if invalid."""
    value = decimal(text)
    return value / whole if value is not None and 0 <= value <= whole else None


def in_percent(values: Iterable[object]) -> bool:
    """Return whether ``values``, which should be fractions, are percent: two or more exceed 1."""
    numbers = [number for value in values if (number := decimal(value)) is not None]
    return sum(1 < number <= 100 for number in numbers) >= 2


def count(value: object) -> int | None:
    """Parse a whole number of at least 0; None if invalid."""
    number = decimal(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def json_object(text: str) -> dict[str, Any] | None:
    """Parse a JSON object; None if invalid or with NaN, infinities or lone surrogates."""
    try:
        value = json.loads(text, parse_constant=reject_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def csv_fields(text: str) -> list[str] | None:
    """Parse one line of CSV; None if invalid or if a field continues on the next line."""
    try:
        return next(csv.reader([text], strict=True), None)
    except csv.Error:
        return None


def note(value: object) -> str | None:
    """Return a value as text on one line, truncated to ``MAX_TEXT_CHARS``; None if empty."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return " ".join(str(value).split())[:MAX_TEXT_CHARS] or None
    return None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a double")
    return value


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
