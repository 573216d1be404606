"""Findings of a rule about an entry: a failure, a check that could not be made, or a note."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from efficiency_bench.verify.evidence import Evidence

ROUNDING = 1e-12
"""Relative difference allowed between sums of the same terms in different orders."""


@dataclass(frozen=True)
class Failure:
    """A number that does not follow from the evidence."""

    rule: str
    """Name of the rule and, after a colon, of the field or event."""
    expected: Any
    """What the evidence implies; None if it implies nothing."""
    found: Any
    """What the entry or the log says."""


@dataclass(frozen=True)
class Unconfirmed:
    """A required check that could not be made, so the entry is not confirmed."""

    rule: str
    reason: str


@dataclass(frozen=True)
class SkippedCheck:
    """A check that needs something a clone of the repository lacks, such as the data."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Remark:
    """Information that makes no number wrong."""

    rule: str
    text: str


Finding = Failure | Unconfirmed | SkippedCheck | Remark
Check = Callable[["Evidence"], Iterator[Finding]]


def equal(rule: str, expected: Any, found: Any) -> Iterator[Failure]:
    """Yield a failure unless both are the same value."""
    if expected != found:
        yield Failure(rule, expected, found)


def close(rule: str, expected: float | None, found: float | None) -> Iterator[Failure]:
    """Yield a failure unless both are None, or the same number up to rounding."""
    if expected is None or found is None:
        yield from equal(rule, expected, found)
    elif not math.isclose(expected, found, rel_tol=ROUNDING, abs_tol=0.0):
        yield Failure(rule, expected, found)


def fields(
    rule: str, expected: Mapping[str, Any], found: Mapping[str, Any], names: tuple[str, ...]
) -> Iterator[Failure]:
    """Yield a failure for each of ``names`` that differs between two records."""
    for name in names:
        yield from equal(f"{rule}: {name}", expected.get(name), found.get(name))
