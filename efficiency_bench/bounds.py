"""Bounds on the values of a record, with reasons: a record may come from an untrusted file.

JSON allows ``1e400`` (infinity), ``5e-324`` (which overflows a quotient), integers of a million
digits, lone surrogates and lists nested a thousand deep.  Any of them can break a program that
reads the whole ledger, so a record that holds one is invalid.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

LARGEST_FLOAT = 1e100
"""Largest magnitude of a number: every 32-bit float is below it, and the product of three such
numbers is still a finite double."""

SMALLEST_FLOAT = 1e-100
"""Smallest magnitude of a number other than 0: with it the product of two such numbers divided by
a third is still a finite double."""

LARGEST_INT = 2**63 - 1
"""Largest integer: what Parquet and other languages can hold (64 bits, signed)."""

LONGEST_TEXT = 100_000
"""Characters of a string: citations have hundreds, error messages thousands."""

LONGEST_NAME = 60
"""Characters of a field name that a message quotes."""

DEEPEST = 20
"""Nesting depth of objects and lists: a configuration has five."""

LARGEST_COUNT = 10**15
"""Images, steps or MACs per image: about a billion epochs of ImageNet, or a hundred times the
forward pass of the largest network trained so far; exact as a double."""

LARGEST_EPOCHS = 1e9
"""Epochs: ``LARGEST_COUNT`` images of ImageNet are about as many."""

LARGEST_SECONDS = 1e10
"""317 years."""

LARGEST_SIDE_PX = 4096
"""Side of a square image: more than ten times what classifiers are trained on."""

LONGEST_CURVE = 10_000
"""Evaluations, or segments, of one run: a hundred per epoch for 100 epochs."""

FIRST_YEAR, LAST_YEAR = 1950, 2199
"""Years of a date: from before the first perceptron (1957) to where date arithmetic is safe."""

Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Epochs = Annotated[float, Field(ge=0, le=LARGEST_EPOCHS)]
Seconds = Annotated[float, Field(ge=0, le=LARGEST_SECONDS)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
"""Compute, energy or money: 0 or more."""
Positive = Annotated[float, Field(gt=0)]
"""Over 0: a divisor, or the argument of a logarithm."""

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
    """Return the first place in ``value`` (JSON or a record) that is out of bounds, and why, or
    None."""
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
        # written so that NaN, for which every comparison is false, is rejected
        if not (value == 0 or SMALLEST_FLOAT <= abs(value) <= LARGEST_FLOAT):
            reason = f"{value} has a magnitude outside {SMALLEST_FLOAT} to {LARGEST_FLOAT}"
    elif kind is int:
        if not -LARGEST_INT <= value <= LARGEST_INT:
            reason = f"an integer beyond {LARGEST_INT}"
    elif value is None or kind is bool:
        return None
    elif depth >= DEEPEST:
        reason = f"nested more than {DEEPEST} objects or lists deep"
    else:
        for name, inner in _items(value):
            unnamed = None if type(name) is int else _first(name, longest_text, depth)
            found = unnamed or _first(inner, longest_text, depth + 1)
            if found is not None:
                return (whole_characters(str(name))[:LONGEST_NAME], *found[0]), found[1]
    return None if reason is None else ((), reason)


def whole_characters(text: str) -> str:
    """Return ``text`` with lone surrogates escaped: a file name may hold some, a record may not."""
    return text.encode("utf-8", "backslashreplace").decode()


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, BaseModel):
        return value.__dict__.items()
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value)


def _text(text: str, longest: int) -> str | None:
    if len(text) > longest:
        return f"a string of {len(text):,} characters; at most {longest:,} are read"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a lone surrogate (half a character), which UTF-8 cannot encode"
    return None
