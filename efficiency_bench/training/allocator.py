"""Freed memory stays with the process, since the next training step asks for the same again.

glibc gives it back to the system above a threshold, which hands it out anew page by page and filled
with zeros: 1 to 8 % of a small network's step on a CPU (docs/performance.md).  No number of a run
depends on it but its seconds.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt, numbered as in glibc's malloc.h."""

KEPT_BYTES = 1 << 30
"""Free memory at the heap's end that stays; our choice, several times what a step of a small
network holds."""

BLOCK_BYTES = 32 << 20
"""Larger blocks are mapped, and given back, one by one: the highest that glibc's own adjustment
goes.  Kept in the heap without a limit, blocks of 240 MB let it grow to eight times their size."""


def keep_freed_memory() -> bool:
    """Tell the C library so; False where it is not glibc.  A second call changes nothing."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(MMAP_THRESHOLD, BLOCK_BYTES))
