"""Image counts and disk use of a data set, and disk use of a run, without reading images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from efficiency_bench.config import DataConfig, RunConfig
from efficiency_bench.counting import trainable_parameters
from efficiency_bench.data import folder
from efficiency_bench.data.build import DEFAULT_ROOT
from efficiency_bench.data.image_set import inner_val_images
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
from efficiency_bench.training.readings import READ_EVERY_STEPS


@dataclass(frozen=True)
class SetSize:
    """A data set's image counts and bytes on disk."""

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
    # the file size depends on how the files were written
    "imagenet_ffcv": _published(IMAGENET, None),
    "imagenet_memory": _published(IMAGENET, None),
}

WRITTEN = {"imagenet_ffcv": "*.beton", "imagenet_memory": "*.npy"}
"""Files of data sets whose size depends on how they were written."""


def set_size(data: DataConfig) -> SetSize:
    """The size of the data set: counted if its folder exists, else as published.

    Raises UserError for an unknown name and for an invalid folder; ``data=folder`` has no
    published size, so its folder must exist.
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
    train_images = data.train_images or size.train_images
    val_images = data.val_images or size.val_images
    if data.inner_split:
        val_images = inner_val_images(train_images, data.inner_split)
        train_images -= val_images
    return replace(size, train_images=train_images, val_images=val_images)


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
"""Bytes per line of the event log: progress takes about 310, an evaluation 370 (digits)."""

WANDB_SHARE = 2.5
"""Size of W&B's offline file over that of the event log: 2.1 to 2.5 in four runs on digits and
CIFAR-10."""

BYTES_A_VALUE = 4
"""Weights, their moving average and the optimizer's state are fp32 in either precision."""

SLOTS = {"sgd": 0, "rmsprop": 1, "rmsprop_tf": 1, "adamw": 2}
"""Values an optimizer keeps per weight, without the momentum of the first three."""


@dataclass(frozen=True)
class Disk:
    """Disk use of one run."""

    checkpoint_bytes: int
    """All checkpoints kept during training; removed when the run ends."""
    event_log_bytes: int
    wandb_bytes: int


def disk(config: RunConfig, model: nn.Module, steps: int, evaluations: int, seconds: float) -> Disk:
    """Disk use of ``config``'s run of ``model`` with so many steps, evaluations and seconds."""
    progress = math.ceil(steps / READ_EVERY_STEPS)
    if progress > ALL_UNTIL:  # from then on they are throttled by time
        progress = min(progress, ALL_UNTIL + math.ceil(seconds / AT_MOST_EVERY_SECONDS))
    log = EVENT_BYTES * (progress + evaluations)
    return Disk(
        checkpoint_bytes=KEPT * checkpoint_bytes(config, model),
        event_log_bytes=log,
        wandb_bytes=round(WANDB_SHARE * log) if config.tracking.wandb else 0,
    )


def checkpoint_bytes(config: RunConfig, model: nn.Module) -> int:
    """Bytes of one checkpoint: weights and buffers, their moving average, optimizer state."""
    optimizer = config.recipe.optimizer
    momentum = optimizer.momentum > 0 and optimizer.name != "adamw"
    weights = trainable_parameters(model)
    whole = sum(value.numel() for value in model.state_dict().values())
    copies = 2 if config.recipe.ema_decay else 1
    return BYTES_A_VALUE * (copies * whole + (SLOTS[optimizer.name] + momentum) * weights)
