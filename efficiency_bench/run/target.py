"""The target of a run: a setting, a published level, or the baseline's own from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from efficiency_bench.config import RunConfig
from efficiency_bench.errors import UserError
from efficiency_bench.identity import (
    FOLDER,
    IMAGENET,
    IMAGENET_CLASSES,
    IMAGENET_VAL_IMAGES,
)
from efficiency_bench.ledger import store
from efficiency_bench.ledger.baseline import baseline_target
from efficiency_bench.ledger.reference import ALEXNET_LEVEL
from efficiency_bench.records import Metric, Target
from efficiency_bench.stop_rule import chance_level, least_target, metric_for

if TYPE_CHECKING:
    from efficiency_bench.data import Data


def metric_of(config: RunConfig, classes: int) -> Metric:
    """The metric asked for or that of so many classes; UserError where it says nothing on them."""
    metric = metric_for(config.target.metric, classes)
    if metric == "top5" and classes <= 5:
        raise UserError(
            f"target.metric=top5 says nothing on {classes} classes; type target.metric=top1"
        )
    return metric


def is_baseline(config: RunConfig) -> bool:
    """Whether this run measures the level that others are held to: its own model and recipe.

    A budgeted run of them is held to that level, like any other's.
    """
    if config.estimand == "budgeted":
        return False
    target = config.target
    named = (config.model.name, config.recipe.name)
    return target.value is None and named == (target.baseline_model, target.baseline_recipe)


def resolve_target(config: RunConfig, data: Data) -> Target | None:
    """What this run must reach; None for a baseline, which runs to its schedule's end.

    Raises UserError for the published level on other data than ImageNet's, for a level at or
    under chance plus its error, and for a baseline's level that is not there.
    """
    metric = metric_of(config, len(data.classes))
    asked = config.target
    if is_baseline(config):
        return None
    if asked.value is not None:
        published = _is_published(config, metric)
        if published:
            _check_published(config, data)
        target = Target(
            metric=metric,
            value=asked.value,
            tolerance=asked.tolerance,
            confirmations=asked.confirmations,
            source="published" if published else "setting",
        )
    else:
        folder = Path(config.ledger_dir)
        target = baseline_target(
            store.read(folder).entries if folder.is_dir() else (),
            model=asked.baseline_model,
            recipe=asked.baseline_recipe,
            data_digest=data.digest,
            metric=metric,
            classes=len(data.classes),
            val_images=data.val_images,
            confirmations=asked.confirmations,
            command=baseline_command(config),
        )
    _check_above_chance(target, data)
    return target


def _is_published(config: RunConfig, metric: Metric) -> bool:
    """Whether the level asked for is AlexNet's of 2020, on what is called ImageNet."""
    level = (metric, config.target.value) == (ALEXNET_LEVEL.metric, ALEXNET_LEVEL.value)
    return level and config.data.name in IMAGENET


def _check_published(config: RunConfig, data: Data) -> None:
    """UserError where the published level is asked for on data that it was not measured on.

    A part of the validation set that ``data.val_images`` has cut is taken for ImageNet's.
    """
    classes, val_images = len(data.classes), data.val_images
    found = f"{classes:,} classes" if classes != IMAGENET_CLASSES else f"{val_images:,} images"
    whole = config.data.val_images is not None or val_images == IMAGENET_VAL_IMAGES
    if classes == IMAGENET_CLASSES and whole:
        return
    of = "its validation set" if classes == IMAGENET_CLASSES else config.data.root
    raise UserError(
        f"top-5 79.1 % is the published level of ImageNet's {IMAGENET_CLASSES:,} classes and"
        f" {IMAGENET_VAL_IMAGES:,} validation images; {of} has {found}:\ntype target=own for"
        " AlexNet's own level on this data, or with it a level like target.value=0.6"
    )


def _check_above_chance(target: Target, data: Data) -> None:
    """UserError for a level that a network which has learned nothing may reach."""
    classes = len(data.classes)
    least = least_target(target.metric, classes, data.val_images)
    if target.threshold > least:
        return
    chance = chance_level(target.metric, classes)
    way_out = f"type target.value= over {least:.4g}" if least < 1 else "take more validation images"
    raise UserError(
        f"a target of {target.metric} {target.threshold:.2%} says nothing: guessing among"
        f" {classes:,} classes reaches {chance:.2%}, and on {data.val_images:,} images by luck"
        f" {min(least, 1.0):.2%};\n{way_out}"
    )


def baseline_command(config: RunConfig) -> str:
    """What to type to measure the baseline on the same data, into the same ledger."""
    data = config.data
    parts = [f"efficiency-bench train experiment={config.target.baseline_model} data={data.name}"]
    if data.name in IMAGENET:  # whose form and target would be the published ones
        parts += ["form=small"] if config.form == "small" else ["target=own"]
    keys = ["root", "train_images", "val_images"]
    keys += ["image_px"] if data.name in (*IMAGENET, FOLDER) else []
    for key in keys:
        value = getattr(data, key)
        if value is not None and not (key == "root" and value == "data"):
            parts.append(f"data.{key}={value}")
    if config.ledger_dir != "runs/ledger":
        parts.append(f"ledger_dir={config.ledger_dir}")
    return " ".join(parts)
