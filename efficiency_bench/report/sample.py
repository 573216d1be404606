"""Which runs, rows and points a page shows if there are too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def sample(
    items: Sequence[T], most: int, first: Callable[[T], bool] = lambda item: False
) -> list[T]:
    """Return at most ``most`` items in their order: the ``first``, then evenly spaced ones."""
    if len(items) <= most:
        return list(items)
    kept = _spaced([i for i, item in enumerate(items) if first(item)], most)
    others = sorted(set(range(len(items))) - set(kept))
    return [items[i] for i in sorted([*kept, *_spaced(others, most - len(kept))])]


def _spaced(places: Sequence[int], most: int) -> list[int]:
    if len(places) <= most:
        return list(places)
    return [places[i * len(places) // most] for i in range(most)]
