"""What the trainer is given: the network of the configuration, counted, with data and recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from efficiency_bench.config import RunConfig
from efficiency_bench.counting import ForwardCount, audited_count
from efficiency_bench.data import Data
from efficiency_bench.models import build_model, check_input, known_arguments
from efficiency_bench.records import Target
from efficiency_bench.training.ranks import ALL_HERE, Ranks
from efficiency_bench.training.schedule import all_sides_px
from efficiency_bench.training.step import Numerics
from efficiency_bench.training.trainer import Job


def build_job(
    config: RunConfig,
    data: Data,
    target: Target | None,
    stop_requested: Callable[[], bool],
    ranks: Ranks = ALL_HERE,
) -> Job:
    """Model, counts at every side it will see, and the rest of what the trainer takes.

    A budgeted run has a target that its end is held to; nothing stops it before.
    """
    torch.manual_seed(derived_seed(config.seed, config.repeat, "weights"))
    sides = all_sides_px(config.recipe.progressive, config.data.image_px)
    model, counts = counted_model(config, len(data.classes), sides)
    return Job(
        model=model,
        data=data,
        recipe=config.recipe,
        cadence=config.evaluation,
        target=None if config.estimand == "budgeted" else target,
        counts=counts,
        image_px=config.data.image_px,
        seed=derived_seed(config.seed, config.repeat, "training"),
        device=torch.device(config.device),
        numerics=Numerics(config.precision, config.optimizer_kernel, config.compile),
        auxiliary_loss_weight=config.model.auxiliary_loss_weight,
        stop_requested=stop_requested,
        ranks=ranks,
    )


def counted_model(
    config: RunConfig, classes: int, sides_px: Sequence[int]
) -> tuple[nn.Module, dict[int, ForwardCount]]:
    """The network on its device, as torch's generator initialises it, and its MACs by side.

    Raises UserError where it cannot take images of such a side, or where the two counters do not
    agree on it.
    """
    arguments, _ = model_arguments(config)
    model = build_model(config.model.name, form=config.form, num_classes=classes, **arguments)
    for side in sides_px:
        check_input(model, side, config.model.name, config.form)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model = model.to(torch.device(config.device), memory_format=layout)
    return model, {side: audited_count(model, (3, side, side)) for side in sides_px}


def model_arguments(config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """What the builder is given, and what to say about it.

    A recipe's regularisation that this network has no place for (stochastic depth in a VGG) is
    left out and said, so that models and recipes combine freely; the model's own arguments are
    passed as they are, and the builder refuses a wrong one.
    """
    known = known_arguments(config.model.name, config.form)
    asked = config.recipe.model_arguments
    notes = [
        f"{config.model.name} has no {name}: the recipe's {name}={value} is left out"
        for name, value in asked.items()
        if name not in known
    ]
    used = {name: value for name, value in asked.items() if name in known}
    return {**config.model.arguments, **used}, notes


def derived_seed(seed: int, repeat: int, purpose: str) -> int:
    """A 63-bit seed of its own for each purpose, so that no two share a stream."""
    digest = hashlib.sha256(f"{seed} {repeat} {purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
