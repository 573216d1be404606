"""A heartbeat between the ranks of a run, beside the process group.

A rank that waits for another one in a collective of NCCL does not notice that the other has died;
torch's watchdog aborts the process after half an hour.  Here each rank counts up a value in the
store through which the ranks found each other, and notices when another rank's value stands
still.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed import Store

BEAT_SECONDS = 5.0
"""Interval between two beats; one request to the store for all ranks."""

PATIENCE_SECONDS = 30.0
"""How long another rank may be silent.  With the interval it stays below a minute; Python lets
other threads run far more often, whatever the main thread does."""

GOODBYE_SECONDS = 10.0
"""How long rank 0, which may host the store, waits at the end for the others to say goodbye."""

LEFT = b"left"


class Heartbeat:
    """Beats for this rank, and calls ``lost`` with the first rank that falls silent."""

    def __init__(
        self, store: Store, rank: int, world_size: int, lost: Callable[[int], None]
    ) -> None:
        """``store`` must not be used by anyone else: a blocking call would hold up the beats."""
        self._store = store
        self._rank = rank
        self._others = [other for other in range(world_size) if other != rank]
        self._lost = lost
        self._closed = threading.Event()
        self._seen = dict.fromkeys(self._others, b"")
        self._news_at: dict[int, float] = {}
        """When each rank was heard of last; it may take its time to begin."""
        store.set_timeout(timedelta(seconds=PATIENCE_SECONDS))
        store.set(_key(rank), "0")
        # two threads, because a request to a host that is gone may never return
        for work in (self._beat, self._watch):
            threading.Thread(target=work, daemon=True, name="heartbeat").start()

    def close(self, finished: bool) -> None:
        """Stop, once.  ``finished``: this rank has ended as agreed with the others.

        Otherwise they notice the silence, also in a collective that waits for this rank.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        if not finished:
            return
        try:
            self._store.set(_key(self._rank), LEFT.decode())
            until = time.monotonic() + GOODBYE_SECONDS
            while self._rank == 0 and time.monotonic() < until and not self._alone():
                time.sleep(BEAT_SECONDS / 500)
        except RuntimeError:  # the host of the store has left
            return

    def _alone(self) -> bool:
        return all(value == LEFT for value in self._store.multi_get(self._keys()))

    def _keys(self) -> list[str]:
        return [_key(other) for other in self._others]

    def _beat(self) -> None:
        beats = 0
        while not self._closed.wait(BEAT_SECONDS):
            beats += 1
            try:
                self._store.set(_key(self._rank), str(beats))
                values = self._store.multi_get(self._keys())
            except RuntimeError:
                continue  # the host of the store is silent: so are all others
            for other, value in zip(self._others, values, strict=True):
                if value != self._seen[other] or value == LEFT:
                    self._seen[other], self._news_at[other] = value, time.monotonic()

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._closed.wait(BEAT_SECONDS):
            now = time.monotonic()
            if now - looked > BEAT_SECONDS + PATIENCE_SECONDS / 2:
                # this process was stopped itself: the others get their time anew
                self._news_at = dict.fromkeys(self._news_at, now)
            looked = now
            silent = [r for r, at in self._news_at.items() if now - at > PATIENCE_SECONDS]
            if silent and not self._closed.is_set():
                self._lost(silent[0])
                return


def _key(rank: int) -> str:
    return f"heartbeat/{rank}"
