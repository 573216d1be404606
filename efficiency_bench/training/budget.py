"""How many whole steps a compute budget pays for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from efficiency_bench.config import ProgressiveConfig
from efficiency_bench.training.schedule import side_px


@dataclass(frozen=True)
class ScheduleCost:
    """Compute of a schedule of any length, with each step at its own image side."""

    train_images: int
    batch_size: int
    steps_per_epoch: int
    image_px: int
    progressive: ProgressiveConfig
    forward_macs: Mapping[int, int]
    """Side in px -> forward MACs per image."""

    def macs(self, steps: int) -> int:
        """Return the sum of images * 3F over a whole schedule of ``steps`` steps.

        Image sides depend on progress, so an epoch may use smaller images in a longer schedule.
        """
        epochs = steps / self.steps_per_epoch
        total = 0
        for epoch in range(math.ceil(epochs)):
            left = steps - epoch * self.steps_per_epoch
            whole = left >= self.steps_per_epoch
            images = self.train_images if whole else left * self.batch_size
            side = side_px(self.progressive, self.image_px, min(1.0, epoch / epochs))
            total += 3 * images * self.forward_macs[side]
        return total

    def steps_for(self, macs: float) -> int:
        """Return the number of steps (at least 1) whose schedule costs closest to ``macs``.

        With growing images the cost is not monotone in the length; the result is then a local
        optimum: closer than one step more or one step less.
        """
        low, high = 0, 1
        while self.macs(high) < macs:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.macs(middle) < macs else (low, middle)
        best = max(low, 1)
        while self._misses(best + 1, macs) < self._misses(best, macs):
            best += 1
        while best > 1 and self._misses(best - 1, macs) < self._misses(best, macs):
            best -= 1
        return best

    def _misses(self, steps: int, macs: float) -> float:
        return abs(self.macs(steps) - macs)
