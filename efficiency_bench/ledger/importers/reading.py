"""Files written by strangers, read with suspicion: what is not as it should be is named.

Nothing here guesses or repairs.  A line that cannot be used is skipped, with its file, its
number and the reason, and the caller counts them.
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
"""No line of these formats comes near it (a row is a kilobyte); a longer one is no row."""

MAX_FILE_BYTES = 256 * 2**20
"""The longest public MLPerf logs have some ten megabytes."""

MAX_TEXT_CHARS = 200
"""A name or a note in a file that is kept with its entry is cut here."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Skipped:
    """Something in a file that was not taken, and why."""

    path: str
    """The file as it was named, relative to the folder that is imported."""
    line: int | None
    """Line number from 1; None: the file as a whole."""
    reason: str

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}, line {self.line}"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Source:
    """One file: where it lies, what it is called in messages, what was skipped in it."""

    path: Path
    name: str
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, reason: str, line: int | None = None) -> None:
        """Note that ``line`` (None: the whole file) was not taken."""
        self.skipped.append(Skipped(self.name, line, reason))

    def beside(self, name: str) -> Source:
        """The file ``name`` in the same folder; what is skipped in it is noted here."""
        called = self.name.rpartition("/")[0]
        return Source(self.path.with_name(name), f"{called}/{name}".lstrip("/"), self.skipped)

    def lines(self, marker: bytes = b"") -> Iterator[tuple[int, str]]:
        """Number and text of each line that holds ``marker`` and more than white space.

        UTF-8 with or without a byte order mark, ends of line of Unix and of Windows.  A line
        that is too long or no UTF-8 is skipped by name and has no text (""), since what it said
        may be missed; a file that cannot be read is skipped by name.
        """
        try:
            status = self.path.stat()  # before it is opened: opening a pipe waits for its writer
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
                self.skip(f"no ordinary file of at most {MAX_FILE_BYTES} bytes")
                return
            with self.path.open("rb") as file:
                for number, raw in enumerate(file, start=1):
                    if marker in raw and (text := self._text(number, raw)) is not None:
                        yield number, text
        except OSError as error:
            self.skip(f"cannot be read: {error.strerror}")

    def _text(self, number: int, raw: bytes) -> str | None:
        """The line's text, "" where it cannot be read, None where there is nothing on it."""
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
    """``path`` itself where it is a file, else the files in it whose names match, sorted.

    Folders that are hidden or links are not entered; a link to a file is skipped by name, since
    what it leads to may lie outside the folder that was named.
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
            source.skip("a link: name the file that it leads to")
    return sources


def decimal(text: object) -> float | None:
    """A finite number as a file spells it (``79.1``, ``7.9e1``) or as JSON gives it, or None."""
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
    """An accuracy as a fraction, ``whole`` (1, or 100 for percent) being all; None otherwise."""
    value = decimal(text)
    return value / whole if value is not None and 0 <= value <= whole else None


def in_percent(values: Iterable[object]) -> bool:
    """Whether ``values``, which should be fractions, are percent: two or more are over 1."""
    numbers = [number for value in values if (number := decimal(value)) is not None]
    return sum(1 < number <= 100 for number in numbers) >= 2


def count(value: object) -> int | None:
    """A whole number of at least 0, or None."""
    number = decimal(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that ``text`` is, or None; NaN, infinities and half characters are none."""
    try:
        value = json.loads(text, parse_constant=reject_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def csv_fields(text: str) -> list[str] | None:
    """The fields of one line of CSV, or None; a field that goes on in the next line is none."""
    try:
        return next(csv.reader([text], strict=True), None)
    except csv.Error:
        return None


def note(value: object) -> str | None:
    """What a file says in words, on one line and cut to a sensible length; None: nothing."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return " ".join(str(value).split())[:MAX_TEXT_CHARS] or None
    return None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond a double")
    return value


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
