"""How many images a data set has and what it takes on the disk, without reading an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from efficiency_bench.config import DataConfig, RunConfig
from efficiency_bench.data import folder
from efficiency_bench.data.build import DEFAULT_ROOT
from efficiency_bench.dataset_facts import (
    CIFAR10,
    CIFAR100,
    CIFAR_BYTES,
    DIGITS,
    IMAGENET,
    IMAGENET_BYTES,
    DataSet,
)
from efficiency_bench.errors import unknown
from efficiency_bench.identity import FOLDER
from efficiency_bench.ledger.events import ALL_UNTIL, AT_MOST_EVERY_SECONDS
from efficiency_bench.training.checkpoint import KEPT
from efficiency_bench.training.trainer import READ_EVERY_STEPS


@dataclass(frozen=True)
class SetSize:
    """A data set's images and bytes."""

    train_images: int
    val_images: int
    classes: int
    disk_bytes: int | None
    """None: unknown."""
    source: str


def _published(facts: DataSet, disk_bytes: int | None) -> SetSize:
    sizes = facts.train_images, facts.val_images, facts.classes
    return SetSize(*sizes, disk_bytes, facts.source)


PUBLISHED = {
    "digits": _published(DIGITS, 0),
    "cifar10": _published(CIFAR10, CIFAR_BYTES),
    "cifar100": _published(CIFAR100, CIFAR_BYTES),
    "imagenet": _published(IMAGENET, IMAGENET_BYTES),
    # how large the files are depends on how they are written
    "imagenet_ffcv": _published(IMAGENET, None),
    "imagenet_memory": _published(IMAGENET, None),
}

WRITTEN = {"imagenet_ffcv": "*.beton", "imagenet_memory": "*.npy"}
"""Files in the folder of a set whose size depends on how it was written."""


def set_size(data: DataConfig) -> SetSize:
    """The set that ``data`` names: counted where its folder is at hand, else as published.

    Raises UserError for an unknown name, and for a folder that cannot be what it should be;
    ``data=folder`` has no published size, so that its folder must be there.
    """
    root = Path(data.root or DEFAULT_ROOT)
    if data.name == FOLDER or (data.name == "imagenet" and root.is_dir()):
        size = _counted(root, data.allow_left_out)
    elif data.name in PUBLISHED:
        size = PUBLISHED[data.name]
    else:
        raise unknown("data", data.name, (*PUBLISHED, FOLDER))
    if data.name in WRITTEN and (files := sorted(root.glob(WRITTEN[data.name]))):
        written = sum(file.stat().st_size for file in files)
        size = replace(size, disk_bytes=written, source=f"{size.source}; bytes of {root}")
    return replace(
        size,
        train_images=data.train_images or size.train_images,
        val_images=data.val_images or size.val_images,
    )


def _counted(root: Path, allow_left_out: bool) -> SetSize:
    splits = folder.load(root, None, None, allow_left_out=allow_left_out)
    return SetSize(
        len(splits.train),
        len(splits.val),
        len(splits.train.classes),
        int(splits.train.sizes.sum() + splits.val.sizes.sum()),
        f"counted in {root}",
    )


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
