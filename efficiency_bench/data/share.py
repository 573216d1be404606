"""The part of every batch that one of a run's processes takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

Whole = TypeVar("Whole", Tensor, list[int])


@dataclass(frozen=True)
class Share:
    """One of ``of`` processes, number ``rank`` from 0; together they take every image once."""

    rank: int = 0
    of: int = 1
    together: bool = False
    """Whether all of them run on one machine, so that they can hold a set once."""

    def part(self, whole: Whole) -> Whole:
        """Every ``of``-th element [n] from ``rank`` on; the sizes of two parts differ by 1."""
        return whole[self.rank :: self.of]


ALONE = Share()
"""The share of a run's only process: everything."""
