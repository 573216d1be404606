"""One optimisation step: rate, forward, loss, backward, update, average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efficiency_bench.config import RecipeConfig
from efficiency_bench.training.ema import MovingAverage
from efficiency_bench.training.optimizer import build_optimizer
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.schedule import rate_multiple


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


class Step:
    """Calling it trains ``model`` on one batch; no call waits for the device."""

    def __init__(
        self,
        model: nn.Module,
        recipe: RecipeConfig,
        numerics: Numerics,
        auxiliary_loss_weight: float,
        ranks: Ranks,
    ) -> None:
        self.model, self.shared_model = ranks.parallel(model)
        self.ranks = ranks
        self.recipe = recipe
        self.autocast = numerics.autocast(ranks.device)
        self.auxiliary_loss_weight = auxiliary_loss_weight
        self.optimizer = build_optimizer(self.model, recipe.optimizer, numerics.optimizer_kernel)
        self.average = MovingAverage(self.model, recipe.ema_decay) if recipe.ema_decay else None
        self.worst_loss = torch.zeros((), device=ranks.device)
        """The greatest loss so far, without its sign, on the device, read now and then: once one
        was infinite or NaN it stays so, and two operators a step are all that it takes."""

    def __call__(self, images: Tensor, labels: Tensor, whole: int, progress: float) -> Tensor:
        """Train on images [B,C,H,W] and labels [B] at ``progress``; the loss, on the device.

        ``whole`` is the size of the batch of which these are this process's share; the mean of
        all processes' losses is the mean over it.
        """
        rate = self.recipe.optimizer.lr * rate_multiple(self.recipe.schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.forward(images, labels, whole)
        self.backward(loss)
        self.update()
        loss = loss.detach()
        self.worst_loss = torch.maximum(self.worst_loss, loss.abs())
        return loss

    def forward(self, images: Tensor, labels: Tensor, whole: int) -> Tensor:
        """The loss of this process's share, weighted by it."""
        with self.autocast:
            loss = self.loss(self.shared_model(images), labels)
        return loss if self.ranks.alone else loss * self.ranks.weight(len(labels), whole)

    def backward(self, loss: Tensor) -> None:
        """New gradients."""
        loss.backward()

    def update(self) -> None:
        """New weights, and their average."""
        self.optimizer.step()
        # now, so that the next forward pass can have their memory
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()

    def loss(self, output: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Cross-entropy in nats, plus each auxiliary head's at its weight."""
        main, *auxiliary = (output,) if isinstance(output, Tensor) else output
        smoothing = self.recipe.label_smoothing
        total = F.cross_entropy(main.float(), labels, label_smoothing=smoothing)
        for logits in auxiliary:
            part = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
            total = total + self.auxiliary_loss_weight * part
        return total

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, average, and the greatest loss so far."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "worst_loss": self.worst_loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a ``state`` of the same model and recipe."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.restore(state["average"])
        self.worst_loss = state["worst_loss"].to(self.ranks.device)

    @property
    def evaluated_model(self) -> nn.Module:
        """The network to evaluate: the moving average where the recipe keeps one."""
        return self.model if self.average is None else self.average.model
