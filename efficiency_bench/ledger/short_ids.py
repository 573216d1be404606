"""Short run ids: the part of a run id that is enough to name it, as git abbreviates commits."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence

DIGITS = 6
"""Digits of the digest in a short id; more where two runs of one ledger share them."""

LEAST_CHARS = 4
"""Shortest id shown for a run that has no seed and digest in its id."""

_SEED_AND_DIGEST = re.compile(r"(?<![^-])s\d+(?:-r\d+)?-[0-9a-f]{10}$")
"""The end of the run id of a run that was trained here, see ``identity.run_id``."""


def names(text: str, run_id: str) -> bool:
    """Return whether ``text`` is the begin of ``run_id``, or of what follows one of its dashes."""
    return bool(text) and (run_id.startswith(text) or f"-{text}" in run_id)


def short_ids(run_ids: Collection[str]) -> dict[str, str]:
    """Return a short id for each of ``run_ids``, which no other of them has (see ``names``).

    For a run that was trained here, seed and digest: ``alexnet-digits-s0-5d1ceabc6e`` is
    ``s0-5d1cea``.
    """
    tails = sorted((tail, run_id) for run_id in run_ids for tail in _tails(run_id))
    return {
        run_id: next((text for text in _shorter(run_id) if _is_unique(text, tails)), run_id)
        for run_id in run_ids
    }


def _tails(run_id: str) -> Iterator[str]:
    """Yield the ends of ``run_id`` that begin after a dash, the shortest first, and all of it."""
    yield from (run_id[found.end() :] for found in reversed(list(re.finditer("-", run_id))))
    yield run_id


def _shorter(run_id: str) -> Iterator[str]:
    """Yield the parts of ``run_id`` that could stand for it, the preferred one first."""
    if found := _SEED_AND_DIGEST.search(run_id):
        whole = found[0]
        yield from (whole[: len(whole) - cut] for cut in range(10 - DIGITS, -1, -1))
    yield from (tail for tail in _tails(run_id) if len(tail) >= LEAST_CHARS)


def _is_unique(text: str, tails: Sequence[tuple[str, str]]) -> bool:
    """Return whether the ``tails`` that begin with ``text``, at least one, are of one run."""
    place = bisect_left(tails, (text, ""))
    owner = tails[place][1]
    while place < len(tails) and tails[place][0].startswith(text):
        if tails[place][1] != owner:
            return False
        place += 1
    return True
