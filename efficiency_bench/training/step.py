"""One optimisation step: learning rate, forward, loss, backward, update, moving average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efficiency_bench.config import RecipeConfig
from efficiency_bench.training.optimizer import MovingAverage, build_optimizer
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.schedule import rate_multiple


@dataclass(frozen=True)
class Numerics:
    """Numeric settings, resolved: none is left to a library's default."""

    precision: str = "fp32"
    """fp32, tf32 (float32 storage, products in TF32) or bf16 autocast."""
    optimizer_kernel: str = "foreach"
    """single, foreach or fused: update parameters one at a time, or many at once."""
    compile: bool = False
    """Whether the training step is compiled by torch."""

    def autocast(self, device: torch.device) -> torch.autocast:
        """The autocast context of every forward pass."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")


class Step:
    """Trains ``model`` on one batch per call; no call waits for the device."""

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
        self.replays_cuda_graphs = False
        """Set where the network is compiled to CUDA graphs."""
        self.recipe = recipe
        self.autocast = numerics.autocast(ranks.device)
        self.auxiliary_loss_weight = auxiliary_loss_weight
        self.optimizer = build_optimizer(self.model, recipe.optimizer, numerics.optimizer_kernel)
        self.average = MovingAverage(self.model, recipe.ema_decay) if recipe.ema_decay else None
        self.worst_loss = torch.zeros((), device=ranks.device)
        """Running maximum of abs(loss), kept on the device.  Inf and NaN propagate, so reading it
        now and then is enough to detect divergence.  It costs two operators per step."""

    def __call__(
        self, images: Tensor, labels: Tensor, global_batch_size: int, progress: float
    ) -> Tensor:
        """Train on images [B,C,H,W] and labels [B] at ``progress``; return the loss, on the device.

        The images are this rank's shard of the global batch; the mean of the returned losses over
        the ranks is the mean over the global batch.
        """
        rate = self.recipe.optimizer.lr * rate_multiple(self.recipe.schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.forward(images, labels, global_batch_size)
        self.backward(loss)
        self.update()
        loss = loss.detach()
        self.worst_loss = torch.maximum(self.worst_loss, loss.abs())
        return loss

    def forward(self, images: Tensor, labels: Tensor, global_batch_size: int) -> Tensor:
        """The mean loss of this rank's shard, weighted by the shard's size."""
        if self.replays_cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # earlier outputs may be overwritten
        with self.autocast:
            loss = self.loss(self.shared_model(images), labels)
        if self.ranks.alone:
            return loss
        return loss * self.ranks.weight(len(labels), global_batch_size)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients."""
        loss.backward()

    def update(self) -> None:
        """Update the weights and their moving average."""
        self.optimizer.step()
        # now, so that the next forward pass can reuse their memory
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()

    def loss(self, output: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Cross-entropy in nats, plus the weighted cross-entropy of each auxiliary head."""
        main, *auxiliary = (output,) if isinstance(output, Tensor) else output
        smoothing = self.recipe.label_smoothing
        total = F.cross_entropy(main.float(), labels, label_smoothing=smoothing)
        for logits in auxiliary:
            auxiliary_loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
            total = total + self.auxiliary_loss_weight * auxiliary_loss
        return total

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, moving average and worst loss so far."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "worst_loss": self.worst_loss,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a ``state`` of the same model and recipe."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.restore(state["average"])
        self.worst_loss = state["worst_loss"].to(self.ranks.device)

    @property
    def evaluated_model(self) -> nn.Module:
        """The network to evaluate: the moving average if the recipe keeps one."""
        return self.model if self.average is None else self.average.model
