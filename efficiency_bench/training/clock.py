"""The run's clocks: training and evaluation apart, neither charged for the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """Monotonic seconds of training and of evaluation.

    On CUDA work is queued, so the clock waits for the device where it changes hands, which is
    once an evaluation and never in a step.
    """

    def __init__(
        self, device: torch.device, train_seconds: float = 0.0, evaluation_seconds: float = 0.0
    ) -> None:
        """Start with the seconds of a run that is taken up again."""
        self.device = device
        self.evaluation_seconds = evaluation_seconds
        self._train_before = train_seconds
        self._since = self._now()

    @property
    def train_seconds(self) -> float:
        """Seconds of training so far; while evaluating, what they were when it began."""
        return self._train_before + (time.perf_counter() - self._since if self._since else 0.0)

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
        return time.perf_counter()
