"""The choices behind a headline, as axes with options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from efficiency_bench.fitting.rows import FitRow

Choice = Mapping[str, str]
"""Axis -> the option taken."""


@dataclass(frozen=True)
class Axis:
    """One choice: its options, the headline's first, each with the words of its row."""

    name: str
    options: Mapping[str, str]
    """Option -> label of the row that departs to it; the headline's own label is not shown."""
    cancels: bool = False
    """Multiplies every row alike, so that nothing follows from it: shown, and not combined."""

    @property
    def headline(self) -> str:
        """The option that the headline takes."""
        return next(iter(self.options))


@dataclass(frozen=True)
class Account:
    """What one kind of source lets vary, and its rows under a choice."""

    axes: tuple[Axis, ...]
    rows: Callable[[Choice], Sequence[FitRow]]
    """Rows under the choices of ``axes``; dates, variant and method are left to the table."""
    not_applicable: Mapping[str, str]
    """Choice that does not exist here -> why."""
    headline: str
    """Label of the first row."""
    notes: tuple[str, ...] = ()
