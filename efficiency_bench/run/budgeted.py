"""Budgeted runs: from a share of the baseline's compute to the length of a schedule."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import torch

from efficiency_bench.config import RecipeConfig, RunConfig, measured_part
from efficiency_bench.counting import audited_count
from efficiency_bench.data import Data
from efficiency_bench.data.loader import batch_sizes
from efficiency_bench.errors import UserError
from efficiency_bench.identity import SCHEDULE_LENGTH, row_settings
from efficiency_bench.ledger.baseline import baseline_finals, least_learned
from efficiency_bench.models import build_model
from efficiency_bench.records import Entry, Metric
from efficiency_bench.stop_rule import final_accuracy
from efficiency_bench.training.budget import ScheduleCost

LEAST_STEPS = 50
"""Fewest steps of a budgeted schedule.  Shorter ones say nothing about a network, since most of
their steps are far from annealed."""


class LeftOut(UserError):  # noqa: N818  (named after the outcome)
    """Why a budgeted run is not worth training; a sweep skips it and goes on."""


class TooFewSteps(LeftOut):
    """The budget pays for fewer than ``LEAST_STEPS`` steps."""


class RungNotNeeded(LeftOut):
    """A smaller budget of the same row is already ``rung_margin`` over the baseline's level."""


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


def check_needed(config: RunConfig, data: Data, metric: Metric, entries: Iterable[Entry]) -> None:
    """Raise RungNotNeeded if ``entries`` show that the row passed the level at a smaller budget.

    The level is the mean final accuracy of the baseline's seeds on the same data.  Without a
    baseline that has learned, or without ``config.rung_margin``, every rung is needed.  Larger
    rungs cannot move a row's arrival, which is read at the smallest budget at the level.
    """
    if config.budget is None or config.rung_margin is None:
        return
    entries = list(entries)
    finals = baseline_finals(entries, data.digest, metric)
    level = math.fsum(finals.values()) / len(finals) if finals else 0.0
    if level <= least_learned(metric, len(data.classes), data.val_images):
        return
    passed = level + config.rung_margin
    row = row_settings(measured_part(config), SCHEDULE_LENGTH)
    for entry in sorted(entries, key=lambda entry: entry.budget_asked or 0.0):
        smaller = entry.budget_asked is not None and entry.budget_asked < config.budget
        if not smaller or entry.data_digest != data.digest:
            continue
        final = final_accuracy(entry, metric)
        if final >= passed and row_settings(entry.config, SCHEDULE_LENGTH) == row:
            raise RungNotNeeded(
                f"budget={config.budget:g} of {config.model.name} is not needed: budget"
                f" {entry.budget_asked:g} ended at {final:.1%}, {config.rung_margin:.1%} or more"
                f" over the baseline's level\ntype rung_margin=null to train it all the same"
            )


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
