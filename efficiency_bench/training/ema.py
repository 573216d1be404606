"""The exponential moving average of weights and buffers that evaluation uses."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """w_avg <- d w_avg + (1 - d) w after every step, d = min(decay, (1 + n) / (10 + n)).

    The ramp over the step number n is TensorFlow's ExponentialMovingAverage with num_updates,
    which EfficientNet's code used.  Without it, after a short run, a decay of 0.9999 would still
    be dominated by the random initialisation.  Floating-point buffers (batch-norm statistics) are
    averaged like the weights; integer buffers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.model = copy.deepcopy(model).requires_grad_(False)
        average, current = self.model.state_dict(), model.state_dict()
        floating = [name for name, value in current.items() if value.is_floating_point()]
        self._average = [average[name] for name in floating]
        self._current = [current[name].detach() for name in floating]
        integer = [name for name in current if name not in set(floating)]
        self._integer = [(average[name], current[name]) for name in integer]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the model's current weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._average, self._current, 1 - decay)
        for average, current in self._integer:
            average.copy_(current)

    def state(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a ``state`` of the same model."""
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]
