"""What a run leaves on the disk: checkpoints while it trains, its log and W&B's files after."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from efficiency_bench.config import RunConfig
from efficiency_bench.ledger.thinning import ALL_UNTIL, AT_MOST_EVERY_SECONDS
from efficiency_bench.training.checkpoint import KEPT
from efficiency_bench.training.trainer import READ_EVERY_STEPS

EVENT_BYTES = 400
"""A line of the event log: progress has about 310 bytes, an evaluation 370 (runs on digits)."""

WANDB_SHARE = 2.5
"""W&B's offline file over the event log: 2.1 to 2.5 in four runs on digits and CIFAR-10."""

BYTES_A_VALUE = 4
"""Weights, their average and the optimizer's state are kept in fp32 in either precision."""

SLOTS = {"sgd": 0, "rmsprop": 1, "rmsprop_tf": 1, "adamw": 2}
"""Values an optimizer keeps for each weight, momentum of the first three apart."""


@dataclass(frozen=True)
class Disk:
    """Bytes of one run."""

    checkpoint_bytes: int
    """All that are kept while it trains; removed when the run has ended."""
    event_log_bytes: int
    wandb_bytes: int


def disk(config: RunConfig, model: nn.Module, steps: int, evaluations: int, seconds: float) -> Disk:
    """What ``config``'s run of ``model`` takes, with that many steps, in that many seconds."""
    progress = math.ceil(steps / READ_EVERY_STEPS)
    if progress > ALL_UNTIL:  # then at most one in some seconds
        progress = min(progress, ALL_UNTIL + math.ceil(seconds / AT_MOST_EVERY_SECONDS))
    log = EVENT_BYTES * (progress + evaluations)
    return Disk(
        checkpoint_bytes=KEPT * checkpoint_bytes(config, model),
        event_log_bytes=log,
        wandb_bytes=round(WANDB_SHARE * log) if config.tracking.wandb else 0,
    )


def checkpoint_bytes(config: RunConfig, model: nn.Module) -> int:
    """Of one: weights and buffers, their average where there is one, the optimizer's state."""
    optimizer = config.recipe.optimizer
    momentum = optimizer.momentum > 0 and optimizer.name != "adamw"
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    whole = sum(value.numel() for value in model.state_dict().values())
    copies = 2 if config.recipe.ema_decay else 1
    return BYTES_A_VALUE * (copies * whole + (SLOTS[optimizer.name] + momentum) * weights)
