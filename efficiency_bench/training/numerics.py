"""How the arithmetic is done: what changes speed and rounding, and not the recipe."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Numerics:
    """Resolved, so that nothing is left to a library's default."""

    precision: str = "fp32"
    """fp32, or bf16 autocast."""
    optimizer_kernel: str = "foreach"
    """single, foreach or fused: the update of one parameter after the other, or of many."""
    compile: bool = False
    """Whether the training step is compiled by torch."""

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context of every forward pass."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
