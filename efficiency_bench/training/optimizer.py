"""The optimizer that a recipe names, over parameters split by weight decay."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from efficiency_bench.config import OptimizerConfig
from efficiency_bench.training.rmsprop_tf import RMSpropTF


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
