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

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.evaluation_seconds = 0.0
        self._train_before = 0.0
        self._since = self._now()

    @property
    def train_seconds(self) -> float:
        """Seconds of training so far; while evaluating, what they were when it began."""
        return self._train_before + (time.perf_counter() - self._since if self._since else 0.0)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Charge what happens inside to evaluation."""
        began = self._now()
        self._train_before += began - (self._since or began)
        self._since = None
        try:
            yield
        finally:
            now = self._now()
            self.evaluation_seconds += now - began
            self._since = now

    _since: float | None

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
