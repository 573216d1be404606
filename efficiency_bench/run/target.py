"""The target of a run: a setting, a published level, or the baseline's level in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
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
from efficiency_bench.records import Entry, Metric, Target
from efficiency_bench.stop_rule import chance_level, least_target, metric_for

if TYPE_CHECKING:
    from efficiency_bench.data import Data


def metric_of(config: RunConfig, classes: int) -> Metric:
    """The configured metric, or the default for ``classes``; UserError for top-5 on 5 or fewer."""
    metric = metric_for(config.target.metric, classes)
    if metric == "top5" and classes <= 5:
        raise UserError(
            f"target.metric=top5 is meaningless for {classes} classes: it needs more than 5;"
            " type target.metric=top1"
        )
    return metric


def is_baseline(config: RunConfig) -> bool:
    """Whether this run is the baseline, whose final accuracy is the target of the other runs.

    A budgeted run sets no target: every level is compared with its final accuracy later.
    """
    if config.estimand == "budgeted":
        return False
    target = config.target
    named = (config.model.name, config.recipe.name)
    return target.value is None and named == (target.baseline_model, target.baseline_recipe)


def needs_baseline(config: RunConfig) -> bool:
    """Whether this run takes its target from a baseline in the ledger."""
    anytime = config.estimand == "anytime"
    return anytime and config.target.value is None and not is_baseline(config)


def resolve_target(config: RunConfig, data: Data) -> Target | None:
    """The target of this run; None for one that trains to the end of its schedule without.

    That is a baseline, and a budgeted run for which no level is set.

    Raises UserError for the published level on data other than ImageNet, for a level within the
    statistical error of chance, and if the ledger has no finished baseline.
    """
    metric = metric_of(config, len(data.classes))
    asked = config.target
    if is_baseline(config) or (config.estimand == "budgeted" and asked.value is None):
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
            known_entries(folder),
            model=asked.baseline_model,
            recipe=asked.baseline_recipe,
            data_digest=data.digest,
            metric=metric,
            classes=len(data.classes),
            val_images=data.val_images,
            confirmations=asked.confirmations,
            command=baseline_command(config),
            size=(config.model.scale, config.model.width),
        )
    _check_above_chance(target, data)
    return target


def known_entries(ledger_dir: Path) -> Sequence[Entry]:
    """The entries of a ledger; none if it does not exist yet."""
    return store.read(ledger_dir).entries if ledger_dir.is_dir() else ()


def _is_published(config: RunConfig, metric: Metric) -> bool:
    """Whether the level is AlexNet's as published in 2020, and the data is named ImageNet."""
    level = (metric, config.target.value) == (ALEXNET_LEVEL.metric, ALEXNET_LEVEL.value)
    return level and config.data.name in IMAGENET


def _check_published(config: RunConfig, data: Data) -> None:
    """Raise UserError if the published level is used on data that it was not measured on.

    A subset of the validation set chosen with ``data.val_images`` is accepted as ImageNet.
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
    """Raise UserError for a level that an untrained network may reach by chance."""
    classes = len(data.classes)
    least = least_target(target.metric, classes, data.val_images)
    if target.threshold > least:
        return
    chance = chance_level(target.metric, classes)
    way_out = f"type target.value= over {least:.4g}" if least < 1 else "use more validation images"
    raise UserError(
        f"a target of {target.metric} {target.threshold:.2%} is too low: guessing among"
        f" {classes:,} classes reaches {chance:.2%}, and up to {min(least, 1.0):.2%} by luck on"
        f" {data.val_images:,} images;\n{way_out}"
    )


def baseline_command(config: RunConfig) -> str:
    """The command that measures the baseline on the same data, into the same ledger."""
    data = config.data
    parts = [f"efficiency-bench train experiment={config.target.baseline_model} data={data.name}"]
    if data.name in IMAGENET:  # the defaults there are the published form and target
        parts += ["form=small"] if config.form == "small" else ["target=own"]
    keys = ["root", "train_images", "val_images"]
    keys += ["image_px"] if data.name in (*IMAGENET, FOLDER) else []
    if config.model.scale != 1:
        parts.append(f"model.scale={config.model.scale:g}")
    if config.model.width is not None:
        parts.append(f"model.width={config.model.width:g}")
    for key in keys:
        value = getattr(data, key)
        if value is not None and not (key == "root" and value == "data"):
            parts.append(f"data.{key}={value}")
    if config.ledger_dir != "runs/ledger":
        parts.append(f"ledger_dir={config.ledger_dir}")
    return " ".join(parts)
