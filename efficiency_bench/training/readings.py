"""When the loss is read from the device, and what the ranks share at a reading."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from efficiency_bench.training.clock import Clock
from efficiency_bench.training.ranks import Ranks

READ_EVERY_STEPS = 20
"""Steps between two points where the loss may be read and the run saved; ranks reseed at each."""

READ_EVERY_SECONDS = 1.0
"""About the time between two readings on a GPU, which each wait for it; at one of those points."""


@dataclass(frozen=True)
class Reading:
    """What all ranks know after reading the device."""

    loss: float  # nats per image, mean over the latest global batch
    finite: bool  # every loss so far, on every rank
    stop: bool  # requested on some rank
    seconds: float  # of a rank between two points where the loss may be read; 0 if unknown


class Readings:
    """Reads the loss, and plans the next reading from the time that all ranks took."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._latest = 0, 0.0  # steps and train seconds
        self._next = 0  # steps
        self._seconds_between_points = 0.0

    def due(self, steps: int) -> bool:
        """Whether to read the loss after so many steps; all ranks answer alike."""
        return steps % READ_EVERY_STEPS == 0 and steps >= self._next

    def read(
        self, loss: torch.Tensor, worst_loss: torch.Tensor, stop: bool, steps: int, clock: Clock
    ) -> Reading:
        """Read the device once; several ranks share what they know in one all-reduce.

        ``loss`` is this rank's weighted loss of the latest batch, ``worst_loss`` its largest so
        far.  ``stop``: this rank was asked to stop.
        """
        here = [float(stop), self._seconds_between_points]
        bad = ~torch.isfinite(worst_loss)
        known = torch.stack([loss, bad.to(loss.dtype), *loss.new_tensor(here)])
        total, infinite, stops, seconds = self._ranks.all_reduce_sum(known).tolist()
        of = self._ranks.shard.world_size
        reading = Reading(total / of, not infinite, bool(stops), seconds / of)
        self._plan(reading, steps, clock.train_seconds)
        return reading

    def _plan(self, reading: Reading, steps: int, train_seconds: float) -> None:
        """Choose the next point to read at from what the ranks have agreed on."""
        steps_before, seconds_before = self._latest
        self._latest = steps, train_seconds
        points = (steps - steps_before) / READ_EVERY_STEPS
        self._seconds_between_points = (train_seconds - seconds_before) / points if points else 0.0
        wait = 1
        if self._ranks.device.type == "cuda" and reading.seconds > 0:
            wait = max(1, int(READ_EVERY_SECONDS / reading.seconds))
        self._next = (steps // READ_EVERY_STEPS + wait) * READ_EVERY_STEPS
