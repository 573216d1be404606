"""The target of a run: a setting, a published level, or the baseline's own from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from efficiency_bench.config import IMAGENET, RunConfig
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.baseline import baseline_target
from efficiency_bench.records import Evaluation, Metric, Target

if TYPE_CHECKING:
    from efficiency_bench.data import Data

TOP5_FROM_CLASSES = 100
"""With fewer classes top-5 says little (AlexNet passes 97 % of ten classes at once)."""


def metric_of(config: RunConfig, classes: int) -> Metric:
    """The metric asked for, else top-5 from 100 classes on and top-1 below."""
    asked = config.target.metric
    if asked is None:
        return "top5" if classes >= TOP5_FROM_CLASSES else "top1"
    if asked == "top5" and classes <= 5:
        raise UserError(
            f"target.metric=top5 says nothing on {classes} classes; type target.metric=top1"
        )
    return "top5" if asked == "top5" else "top1"


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
    """What this run must reach; None for a baseline, which runs to its schedule's end."""
    metric = metric_of(config, len(data.classes))
    asked = config.target
    if is_baseline(config):
        return None
    if asked.value is not None:
        of_2020 = asked.value == 0.791 and metric == "top5"
        published = of_2020 and config.data.name in IMAGENET
        return Target(
            metric=metric,
            value=asked.value,
            tolerance=asked.tolerance,
            confirmations=asked.confirmations,
            source="published" if published else "setting",
        )
    folder = Path(config.ledger_dir)
    return baseline_target(
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


def own_target(config: RunConfig, data: Data, last: Evaluation) -> Target:
    """The level that a baseline has set by its final evaluation."""
    metric = metric_of(config, len(data.classes))
    return Target(
        metric=metric,
        value=last.accuracy(metric),
        confirmations=config.target.confirmations,
        source="own_schedule",
    )


def baseline_command(config: RunConfig) -> str:
    """What to type to measure the baseline on the same data, into the same ledger."""
    data = config.data
    parts = [f"efficiency-bench train experiment={config.target.baseline_model} data={data.name}"]
    for key in ("root", "train_images", "val_images"):
        value = getattr(data, key)
        if value is not None and not (key == "root" and value == "data"):
            parts.append(f"data.{key}={value}")
    if config.ledger_dir != "runs/ledger":
        parts.append(f"ledger_dir={config.ledger_dir}")
    return " ".join(parts)
