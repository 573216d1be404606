"""The run's clocks: training time and evaluation time, measured separately."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

TICK_SECONDS = 0.25
"""Interval at which the background thread reads the clocks."""

STOPPED_FROM_SECONDS = 5.0
"""Shortest halt that counts as a stop; shorter ones are charged like any other delay.

Swapping, a busy machine or a slow disk can halt a process for a moment.  SIGSTOP, a frozen
container or a suspended Slurm job halts it for longer."""


class RunningTime:
    """Monotonic clock that excludes the time in which the whole process was stopped.

    A background thread reads the clock every ``TICK_SECONDS``.  If two readings are further
    apart, the process was stopped for the part of the gap that neither the tick nor the CPU time
    used in between explains, provided that it is at least ``STOPPED_FROM_SECONDS``.  A process
    that computes, or waits for a device, a disk or another process, is not stopped: the thread
    keeps reading.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        """``wall`` is a monotonic clock, ``used`` the CPU time of all threads; both in seconds."""
        self._wall, self._used = wall, used
        self._lock = threading.Lock()
        self._last = wall(), used()
        self.stopped_seconds = 0.0
        """Time stopped so far."""

    def __call__(self) -> float:
        """Seconds that the process has been running, from an arbitrary origin."""
        with self._lock:
            # wall clock first: a stop between the two readings is then seen by the next reading
            now, used = self._wall(), self._used()
            gap, busy = now - self._last[0], used - self._last[1]
            stopped = gap - TICK_SECONDS - busy
            if stopped >= STOPPED_FROM_SECONDS:
                self.stopped_seconds += stopped
            self._last = now, used
            return now - self.stopped_seconds

    def watch(self) -> None:
        """Read the clock in a daemon thread for as long as this object is referenced elsewhere."""
        thread = threading.Thread(target=_poll, args=(weakref.ref(self),), daemon=True)
        thread.start()


def _poll(reference: weakref.ref[RunningTime]) -> None:
    while (running := reference()) is not None:
        running()
        del running
        time.sleep(TICK_SECONDS)


class Clock:
    """Seconds of training and of evaluation, excluding time in which the process was stopped.

    CUDA work is asynchronous, so the clock synchronises with the device when it switches between
    the two: around each evaluation and each pause, never within a step.
    """

    def __init__(
        self, device: torch.device, train_seconds: float = 0.0, evaluation_seconds: float = 0.0
    ) -> None:
        """Start from the given seconds, those of the checkpoint if the run is resumed."""
        self.device = device
        self.evaluation_seconds = evaluation_seconds
        self._running = RunningTime()
        self._running.watch()
        self._train_before = train_seconds
        self._since = self._now()

    @property
    def train_seconds(self) -> float:
        """Seconds of training so far; they do not advance during evaluation."""
        return self._train_before + (self._running() - self._since if self._since else 0.0)

    @property
    def stopped_seconds(self) -> float:
        """Seconds so far in which the process was stopped, charged to neither."""
        self._running()
        return self._running.stopped_seconds

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Charge the time inside the block to evaluation."""
        began = self._now()
        try:
            with self.paused():
                yield
        finally:
            self.evaluation_seconds += self._now() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Charge the time inside the block (saving a checkpoint, say) to neither."""
        began = self._now()
        self._train_before += began - (self._since or began)
        self._since = None
        try:
            yield
        finally:
            self._since = self._now()

    _since: float | None

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self._running()
