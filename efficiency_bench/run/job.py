"""Builds the trainer's job: the network with its MAC counts, the data and the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from efficiency_bench.config import RunConfig
from efficiency_bench.counting import ForwardCount, audited_count
from efficiency_bench.data import Data
from efficiency_bench.data.augment import derived_seed
from efficiency_bench.models import build_model, check_input, known_arguments
from efficiency_bench.records import Target
from efficiency_bench.training.ranks import SINGLE_PROCESS, Ranks
from efficiency_bench.training.schedule import all_sides_px
from efficiency_bench.training.step import Numerics
from efficiency_bench.training.trainer import Job


def build_job(
    config: RunConfig,
    data: Data,
    target: Target | None,
    stop_requested: Callable[[], bool],
    ranks: Ranks = SINGLE_PROCESS,
) -> Job:
    """The trainer's job: the model, its MAC counts at every image side, and the other inputs.

    A budgeted run is checked against its target only at its end, so the trainer gets no target.
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
    """The network on its device, initialised by torch's global generator, and its MACs by side.

    Raises UserError if the network does not accept a side, or if the two counters disagree.
    """
    arguments, _ = model_arguments(config)
    model = build_model(config.model.name, form=config.form, num_classes=classes, **arguments)
    for side in sides_px:
        check_input(model, side, config.model.name, config.form)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model = model.to(torch.device(config.device), memory_format=layout)
    return model, {side: audited_count(model, (3, side, side)) for side in sides_px}


def model_arguments(config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """The builder's arguments, and notes on those that were dropped.

    Regularisation of the recipe that this network does not support (stochastic depth in a VGG)
    is dropped with a note, so that any model works with any recipe.  The model's own arguments
    are passed unchanged, and the builder rejects an invalid one.
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
