"""The run's clocks: training and evaluation apart, neither charged for the other."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

TICK_SECONDS = 0.25
"""Between two looks at the process's own time."""

STOPPED_FROM_SECONDS = 5.0
"""A shorter halt is charged like any other delay.  Swapping, a busy machine or a slow disk may
take everything from a process for a moment; SIGSTOP, a frozen container or a suspended Slurm job
do it for longer."""


class RunningTime:
    """Monotonic seconds without those in which the whole process was stopped.

    A thread looks at the clock every ``TICK_SECONDS``.  Where two looks lie further apart, the
    process was stopped for what neither the tick nor the processor time that it used in between
    explains; it counts from ``STOPPED_FROM_SECONDS`` on.  A process that computes, or waits for a
    device, a disk or another process, is not stopped: the thread goes on looking.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        """``wall`` is a monotonic clock, ``used`` the processor time of all threads; seconds."""
        self._wall, self._used = wall, used
        self._lock = threading.Lock()
        self._last = wall(), used()
        self.stopped_seconds = 0.0
        """So far."""

    def __call__(self) -> float:
        """Seconds since an arbitrary moment in which the process was not stopped."""
        with self._lock:
            # the wall first: a stop between the two readings then lies before the next look
            now, used = self._wall(), self._used()
            gap, busy = now - self._last[0], used - self._last[1]
            stopped = gap - TICK_SECONDS - busy
            if stopped >= STOPPED_FROM_SECONDS:
                self.stopped_seconds += stopped
            self._last = now, used
            return now - self.stopped_seconds

    def watch(self) -> None:
        """Look at the clock in a thread, for as long as somebody else holds this object."""
        looking = threading.Thread(target=_look, args=(weakref.ref(self),), daemon=True)
        looking.start()


def _look(running: weakref.ref[RunningTime]) -> None:
    while (time_of := running()) is not None:
        time_of()
        del time_of
        time.sleep(TICK_SECONDS)


class Clock:
    """Monotonic seconds of training and of evaluation, in which the process was not stopped.

    On CUDA work is queued, so the clock waits for the device where it changes hands, which is
    once an evaluation and never in a step.
    """

    def __init__(
        self, device: torch.device, train_seconds: float = 0.0, evaluation_seconds: float = 0.0
    ) -> None:
        """Start with the seconds of a run that is taken up again."""
        self.device = device
        self.evaluation_seconds = evaluation_seconds
        self._running = RunningTime()
        self._running.watch()
        self._train_before = train_seconds
        self._since = self._now()

    @property
    def train_seconds(self) -> float:
        """Seconds of training so far; while evaluating, what they were when it began."""
        return self._train_before + (self._running() - self._since if self._since else 0.0)

    @property
    def stopped_seconds(self) -> float:
        """Seconds so far in which the process was stopped, which are on no account."""
        self._running()
        return self._running.stopped_seconds

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Charge what happens inside to evaluation."""
        began = self._now()
        try:
            with self.paused():
                yield
        finally:
            self.evaluation_seconds += self._now() - began

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Charge what happens inside, such as saving the run, to no account."""
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
