"""What a record may hold: bounds with their reasons, since a record may be anybody's file.

JSON allows ``1e400`` (infinity), ``5e-324`` (whose logarithm ends every ratio), whole numbers of a
million digits, half a character and a thousand lists in one another.  One of them stops whatever
reads the whole ledger, so none of them is a record.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

LARGEST_FLOAT = 1e100
"""Greatest magnitude of a number: every 32-bit float is below it, and the product of three such
numbers is still a finite double."""

SMALLEST_FLOAT = 1e-100
"""Least magnitude of a number other than 0: so is the quotient of a product of two by a third."""

LARGEST_INT = 2**63 - 1
"""Of a whole number: what Parquet and other languages can hold."""

LONGEST_TEXT = 100_000
"""Characters of a text: citations have hundreds, error messages thousands."""

LONGEST_NAME = 60
"""Characters of a field's name that a message repeats."""

DEEPEST = 20
"""Objects and lists inside one another: a configuration has five."""

LARGEST_COUNT = 10**15
"""Images, steps or MACs an image: a billion passes over ImageNet, a hundred times the forward pass
of the largest network trained so far; exact as a double."""

LARGEST_EPOCHS = 1e9
"""Passes over a set: as many images as ``LARGEST_COUNT`` allows of ImageNet."""

LARGEST_SECONDS = 1e10
"""317 years."""

LARGEST_SIDE_PX = 4096
"""Of a square image: more than ten times what classifiers are trained on."""

LONGEST_CURVE = 10_000
"""Evaluations, or segments, of one run: one for every hundredth of an epoch over 100 epochs."""

FIRST_YEAR, LAST_YEAR = 1950, 2199
"""Of a date: from before the first perceptron (1957) to where dates can still be added to."""

Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Epochs = Annotated[float, Field(ge=0, le=LARGEST_EPOCHS)]
Seconds = Annotated[float, Field(ge=0, le=LARGEST_SECONDS)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
"""Compute, energy or money: 0 or more."""
Positive = Annotated[float, Field(gt=0)]
"""What is divided by, or has its logarithm taken."""

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _date(text: str) -> str:
    if not _ISO_DATE.fullmatch(text):
        raise ValueError("a date like 2015-12-10 is expected")
    _known_year(datetime.date.fromisoformat(text))
    return text


def _time(text: str) -> str:
    _known_year(datetime.datetime.fromisoformat(text))
    return text


def _known_year(day: datetime.date) -> None:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"a year from {FIRST_YEAR} to {LAST_YEAR} is expected")


IsoDate = Annotated[str, AfterValidator(_date)]
IsoTime = Annotated[str, AfterValidator(_time)]


def out_of_bounds(value: Any, longest_text: int = LONGEST_TEXT) -> str | None:
    """Where ``value``, JSON or a record, holds what no record may, and why; None: nowhere."""
    found = _first(value, longest_text, 0)
    if found is None:
        return None
    names, reason = found
    return f"{'.'.join(names) or 'the value'}: {reason}"


def _first(value: Any, longest_text: int, depth: int) -> tuple[tuple[str, ...], str] | None:
    kind = type(value)
    reason = None
    if kind is str:
        if not value.isascii() or len(value) > longest_text:
            reason = _text(value, longest_text)
    elif kind is float:
        # written so that NaN, which compares with nothing, is outside
        if not (value == 0 or SMALLEST_FLOAT <= abs(value) <= LARGEST_FLOAT):
            reason = f"{value} has no magnitude from {SMALLEST_FLOAT} to {LARGEST_FLOAT}"
    elif kind is int:
        if not -LARGEST_INT <= value <= LARGEST_INT:
            reason = f"a whole number beyond {LARGEST_INT}"
    elif value is None or kind is bool:
        return None
    elif depth >= DEEPEST:
        reason = f"more than {DEEPEST} objects or lists inside one another"
    else:
        for name, inner in _items(value):
            unnamed = None if type(name) is int else _first(name, longest_text, depth)
            found = unnamed or _first(inner, longest_text, depth + 1)
            if found is not None:
                return (whole_characters(str(name))[:LONGEST_NAME], *found[0]), found[1]
    return None if reason is None else ((), reason)


def whole_characters(text: str) -> str:
    """``text`` with half characters escaped: the name of a file may have some, a record none."""
    return text.encode("utf-8", "backslashreplace").decode()


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, BaseModel):
        return value.__dict__.items()
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value)


def _text(text: str, longest: int) -> str | None:
    if len(text) > longest:
        return f"a text of {len(text):,} characters; at most {longest:,} are read"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half a character (a lone surrogate), which no text can hold"
    return None
