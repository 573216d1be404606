"""Measures how fast a network trains on this machine: real steps on synthetic images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from efficiency_bench.config import RunConfig
from efficiency_bench.data.augment import Normalisation
from efficiency_bench.data.build import photo_views
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.data.memory import MemoryLoader
from efficiency_bench.errors import UserError
from efficiency_bench.identity import FOLDER, IMAGENET
from efficiency_bench.run.cost import open_meter
from efficiency_bench.run.processes import this_process
from efficiency_bench.training.compile import compile_step
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.readings import READ_EVERY_STEPS
from efficiency_bench.training.step import Numerics, Step

WARM_UP_STEPS = 2
"""Not timed: the first step sets up the libraries and the optimizer's state."""

CPU_BATCH_PIXELS = 16 * 224 * 224
"""Limit of a batch on a CPU: with 256 photographs a step would take minutes and all memory."""

BATCHES = 4
"""Number of different synthetic batches, used in turn."""


@dataclass(frozen=True)
class Rate:
    """Training speed, and how it was obtained."""

    images_per_second: float
    """At the training resolution, without loading; all devices together."""
    source: str
    batch_size: int | None = None
    steps: int | None = None
    watts: float | None = None
    energy_source: str = ""


def probed(config: RunConfig, model: nn.Module, classes: int, seconds: float) -> Rate:
    """Measure ``model`` for about ``seconds`` s and at least one step; changes its weights.

    ``config`` must be resolved.  Nothing is written.  Raises UserError if a batch does not fit
    into the device's memory.
    """
    step = Step(
        model.train(),
        config.recipe,
        Numerics(config.precision, config.optimizer_kernel, config.compile),
        config.model.auxiliary_loss_weight,
        Ranks(device=torch.device(config.device)),
    )
    batch_size = probe_batch_size(config)
    batches = _made_up(config, batch_size, classes)
    device = torch.device(config.device)
    try:
        if config.compile:
            compile_step(step, [(batch_size, config.data.image_px)])
        _train(step, batches, WARM_UP_STEPS, batch_size)
        return _timed(step, batches, batch_size, device, seconds)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{config.model.name} does not fit this device at recipe.batch_size={batch_size};"
            " type a smaller one"
        ) from error


def probe_batch_size(config: RunConfig) -> int:
    """The recipe's batch size; on a CPU limited to ``CPU_BATCH_PIXELS``."""
    if config.device != "cpu":
        return config.recipe.batch_size
    return min(config.recipe.batch_size, max(2, CPU_BATCH_PIXELS // config.data.image_px**2))


def _timed(
    step: Step,
    batches: Iterator[tuple[Tensor, Tensor]],
    batch_size: int,
    device: torch.device,
    seconds: float,
) -> Rate:
    # a run on CUDA synchronizes as rarely as this
    round_steps = READ_EVERY_STEPS if device.type == "cuda" else 1
    meter, energy_source = open_meter(device.type, this_process())
    began, steps = _now(device), 0
    passed = 0.0
    joules = meter.joules() if meter else 0.0
    while passed < seconds or not steps:
        _train(step, batches, round_steps, batch_size)
        steps += round_steps
        passed = _now(device) - began
    joules = meter.joules() - joules if meter else 0.0
    return Rate(
        images_per_second=steps * batch_size / passed,
        source=f"{steps} steps of {batch_size} images in {passed:.1f} s here",
        batch_size=batch_size,
        steps=steps,
        watts=joules / passed if meter else None,
        energy_source=energy_source,
    )


def _train(
    step: Step, batches: Iterator[tuple[Tensor, Tensor]], steps: int, batch_size: int
) -> None:
    for _ in range(steps):
        step(*next(batches), batch_size, progress=0.5)


def _made_up(config: RunConfig, batch_size: int, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless synthetic batches.

    Data sets in memory use their real loader, whose augmentation counts as training time; other
    photographs are augmented by other processes or threads, so their batches are ready-made.
    """
    device, side = torch.device(config.device), config.data.image_px
    count = BATCHES * batch_size
    images = torch.randint(256, (count, 3, side, side), dtype=torch.uint8)
    labels = torch.randint(classes, (count,))
    in_memory = config.data.name == "imagenet_memory"
    if config.data.name in (*IMAGENET, FOLDER) and not in_memory:
        ready = images.to(device, torch.float32).div_(255).split(batch_size)
        while True:
            yield from zip(ready, labels.to(device).split(batch_size), strict=True)
    names = tuple(map(str, range(classes)))
    loader = MemoryLoader(
        DataSplits(ImageSet(images, labels, names), ImageSet(images[:1], labels[:1], names)),
        config.recipe.augmentation,
        config.recipe.augmentation.flip and config.data.flip_keeps_class,
        Normalisation(config.data.mean, config.data.std, device),
        side,
        config.seed,
        device,
        views=photo_views(config.data, config.recipe) if in_memory else None,
    )
    epoch = 0
    while True:
        yield from loader.epoch(epoch, batch_size, side)
        epoch += 1


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
