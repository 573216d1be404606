"""Keeps a run's event log small: of many progress events one a while, and the last of a stretch.

At ten steps a second a month has 1.3 million of them, half a gigabyte.  What is left out says
nothing that the next one does not say: progress is cumulative.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from efficiency_bench.ledger.events import EventLog

ALL_UNTIL = 10_000
"""Progress events of a run that are all written: a short run's log is whole, and does not
depend on the clock.  They take 4 MB."""

AT_MOST_EVERY_SECONDS = 30.0
"""Afterwards: a month's take 35 MB.  It is also the most work that a crash can hide."""


class ThinnedProgress:
    """Appends to an event log, and leaves out progress between two others that say more.

    The last progress before any other event is always written, right before it.
    """

    def __init__(
        self, log: EventLog, written: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``written`` progress events are in the log already; ``clock`` never goes back, s."""
        self._log = log
        self._clock = clock
        self._written = written
        self._written_at = 0.0
        self._held: dict[str, Any] | None = None

    def append(self, kind: str, **fields: Any) -> None:
        """Write one event, or hold it; see EventLog.append."""
        if kind == "progress":
            self._held = fields
            due = self._clock() - self._written_at >= AT_MOST_EVERY_SECONDS
            if self._written < ALL_UNTIL or due:
                self._write_held()
            return
        self._write_held()
        self._log.append(kind, **fields)

    def _write_held(self) -> None:
        if self._held is None:
            return
        fields, self._held = self._held, None
        self._log.append("progress", **fields)
        self._written += 1
        self._written_at = self._clock()
