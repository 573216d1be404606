"""What changes the weights: the optimizer that a recipe names, and their moving average."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from efficiency_bench.config import OptimizerConfig


def build_optimizer(model: nn.Module, config: OptimizerConfig, kernel: str) -> Optimizer:
    """The optimizer over the trainable parameters of ``model``; ``config.lr`` is the peak rate.

    ``kernel``: ``single`` updates one parameter at a time, ``foreach`` and ``fused`` many at
    once.  RMSpropTF always uses ``foreach``.
    """
    groups = decay_groups(model, config)
    many = {"foreach": kernel == "foreach"}
    fused = {"fused": True} if kernel == "fused" else many
    match config.name:
        case "sgd":
            return SGD(
                groups,
                lr=config.lr,
                momentum=config.momentum,
                nesterov=config.nesterov,
                **fused,
            )
        case "rmsprop":
            return RMSprop(
                groups,
                lr=config.lr,
                alpha=config.alpha,
                eps=config.eps,
                momentum=config.momentum,
                **many,
            )
        case "rmsprop_tf":
            return RMSpropTF(
                groups,
                lr=config.lr,
                alpha=config.alpha,
                eps=config.eps,
                momentum=config.momentum,
            )
        case "adamw":
            beta1, beta2 = config.betas
            return AdamW(groups, lr=config.lr, betas=(beta1, beta2), eps=config.eps, **fused)
    raise ValueError(f"unknown optimizer {config.name!r}")


def decay_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Parameter groups by weight decay.

    Unless ``decay_norm_and_bias``, one-dimensional parameters (biases, normalisation) get none.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if config.decay_norm_and_bias:
        return [{"params": trained, "weight_decay": config.weight_decay}]
    weights = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    return [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


class RMSpropTF(Optimizer):
    """v <- alpha v + (1 - alpha) g^2;  m <- momentum m + lr g / sqrt(v + eps);  w <- w - m.

    Source: TensorFlow 1's RMSPropOptimizer.  The learning rate is inside the momentum buffer, so
    lowering it affects past gradients only as they decay.  Weight decay is added to the gradient
    (L2), as in EfficientNet's code.  EfficientNet's constants (lr 0.256 per 4096 images, epsilon
    0.001) were chosen for epsilon inside the root and a mean square that starts at one: in
    torch.optim.RMSprop they give steps up to thirty times larger where gradients are small.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        alpha: float = 0.9,
        eps: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "momentum": momentum,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(group, params)
        return loss

    def _step_group(self, group: dict[str, Any], params: list[torch.Tensor]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p]["mean_square"] = torch.ones_like(p)
                self.state[p]["momentum"] = torch.zeros_like(p)
        grads = [p.grad for p in params if p.grad is not None]
        squares = [self.state[p]["mean_square"] for p in params]
        momenta = [self.state[p]["momentum"] for p in params]
        if group["weight_decay"]:
            grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, grads, grads, value=1 - group["alpha"])
        roots = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_addcdiv_(momenta, grads, roots, value=group["lr"])
        torch._foreach_sub_(params, momenta)


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
        self._integer = [average[name] for name in integer], [current[name] for name in integer]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the model's current weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._average, self._current, 1 - decay)
        if self._integer[0]:
            torch._foreach_copy_(*self._integer)

    def state(self) -> dict[str, Any]:
        """The averaged weights and the number of updates."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a ``state`` of the same model."""
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]
