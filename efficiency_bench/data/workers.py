"""How many workers read images: what was asked for, within the cores there are."""

from __future__ import annotations

from efficiency_bench.provenance import usable_cores


def within_cores(asked: int, typed: str) -> tuple[int, tuple[str, ...]]:
    """``asked`` workers, but no more than this process has CPU cores, and a note if that is fewer.

    ``typed`` is how they were asked for, for the note.
    """
    cores = usable_cores() or asked
    if asked <= cores:
        return asked, ()
    return cores, (f"{typed} is cut to {cores}, the CPU cores that this process may use",)
