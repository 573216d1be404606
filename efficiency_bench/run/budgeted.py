"""Budgeted runs: from a share of the baseline's compute to the length of a schedule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from efficiency_bench.config import RecipeConfig, RunConfig
from efficiency_bench.counting import audited_count
from efficiency_bench.data.loader import batch_sizes
from efficiency_bench.errors import UserError
from efficiency_bench.models import build_model
from efficiency_bench.training.budget import ScheduleCost

LEAST_STEPS = 50
"""Fewest steps of a budgeted schedule.  Shorter ones say nothing about a network, since most of
their steps are far from annealed."""


class TooFewSteps(UserError):  # noqa: N818  (named after the problem)
    """The budget pays for fewer than ``LEAST_STEPS`` steps; a sweep skips such a run."""


def budgeted_recipe(
    config: RunConfig, classes: int, train_images: int, forward_macs: Mapping[int, int]
) -> RecipeConfig:
    """Return the recipe with the epochs that ``config.budget`` pays for.

    Without a budget, the recipe is returned unchanged.  ``forward_macs`` maps an image side in px
    to the network's forward MACs per image.  A budget of 1 is the compute of the baseline's whole
    schedule on the same training images (paper3x).  Raises TooFewSteps.
    """
    recipe = config.recipe
    if config.budget is None:
        return recipe
    baseline = budget_fields(config, classes)
    whole = 3 * baseline["baseline_forward_macs"] * baseline["baseline_epochs"] * train_images
    per_epoch = len(batch_sizes(train_images, recipe.batch_size))
    cost = ScheduleCost(
        train_images=train_images,
        batch_size=recipe.batch_size,
        steps_per_epoch=per_epoch,
        image_px=config.data.image_px,
        progressive=recipe.progressive,
        forward_macs=forward_macs,
    )
    steps = cost.steps_for(config.budget * whole)
    if steps < LEAST_STEPS:
        least = cost.macs(LEAST_STEPS) / whole
        raise TooFewSteps(
            f"budget={config.budget:g} pays for {steps} steps of {config.model.name}; at least"
            f" {LEAST_STEPS} are needed to say anything\ntype budget={least:.2g} or more, or train"
            " on more images"
        )
    return dataclasses.replace(recipe, epochs=steps / per_epoch)


def budget_fields(config: RunConfig, classes: int) -> dict[str, Any]:
    """Return the ``budget`` field of the ``start`` event: the requested share and the baseline."""
    target = config.target
    return {
        "asked": config.budget,
        "baseline_forward_macs": baseline_forward_macs(
            target.baseline_model, config.form, classes, config.data.image_px
        ),
        "baseline_epochs": target.baseline_epochs,
    }


@lru_cache
def baseline_forward_macs(model: str, form: str, classes: int, image_px: int) -> int:
    """Return the forward MACs per image of the baseline at scale 1, counted on the CPU."""
    with torch.random.fork_rng(devices=[]):  # the run's weights must not depend on it
        network = build_model(model, form=form, num_classes=classes, image_px=image_px)
        return audited_count(network, (3, image_px, image_px)).forward_macs
