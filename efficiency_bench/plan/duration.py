"""Estimates a run's training and evaluation time: the slower of arithmetic and loading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from efficiency_bench.config import RunConfig
from efficiency_bench.counting.mac_table import Macs
from efficiency_bench.plan.evidence import Epochs
from efficiency_bench.plan.hardware import Hardware
from efficiency_bench.plan.sizes import SetSize
from efficiency_bench.provenance import usable_cores
from efficiency_bench.records import Segment
from efficiency_bench.run.target import is_baseline
from efficiency_bench.training.schedule import side_px

LOADED_IMAGES_PER_SECOND = {
    ("folder", "pillow"): 694.6 / 2,
    ("folder", "simplejpeg"): 917.3 / 2,
    ("imagenet", "pillow"): 694.6 / 2,
    ("imagenet", "simplejpeg"): 917.3 / 2,
    ("imagenet_ffcv", "pillow"): 1526 / 2,
}
"""Per process or thread: half of what two reached on two idle cores with images of 500 px
(docs/performance.md).  Data sets in memory are augmented on the device, within a step."""


@dataclass(frozen=True)
class Work:
    """The images that a run processes."""

    to_target: tuple[Segment, ...]
    """Training images up to the target: the compute that the row is charged."""
    trained: tuple[Segment, ...]
    """Training images until the run stops: target confirmed, or end of schedule."""
    evaluations: int
    """Upper bound: assumes the finer evaluation schedule throughout if the run has a target."""


@dataclass(frozen=True)
class LoaderSpeed:
    """Images per second that can be loaded; None: the data is in memory, without a loader."""

    images_per_second: float | None
    shares_cores: bool
    """Whether it uses the same cores as training, so that the two times add up."""
    source: str


@dataclass(frozen=True)
class Timing:
    """Estimated seconds of one run, and which part limits it."""

    train_seconds: float
    evaluation_seconds: float
    limit: Literal["arithmetic", "loader"]


def work(config: RunConfig, size: SetSize, counts: Mapping[int, Macs], epochs: Epochs) -> Work:
    """Images per side up to the target and up to the stop.

    After reaching its target, a run continues until it is confirmed, one evaluation each.
    """
    near, whole = config.evaluation.per_epoch_near, config.recipe.epochs
    stop = epochs.epochs
    if epochs.source != "schedule":
        stop = min(whole, stop + config.target.confirmations / near)
    coarse = is_baseline(config) or (config.estimand == "budgeted")
    per_epoch = config.evaluation.per_epoch if coarse else near
    return Work(
        to_target=_segments(config, size, counts, epochs.epochs),
        trained=_segments(config, size, counts, stop),
        evaluations=math.ceil(stop * per_epoch),
    )


def loader_speed(config: RunConfig, machine: Hardware | None) -> LoaderSpeed:
    """The loading speed on ``machine``; None: this machine."""
    each = LOADED_IMAGES_PER_SECOND.get((config.data.name, config.data.decode))
    if each is None:
        return LoaderSpeed(None, False, "in memory: augmented on the device, within a step")
    asked = config.data.workers * (machine.devices if machine else 1)
    cores = machine.cpu_threads if machine else usable_cores()
    workers = min(asked, cores) if cores else asked
    source = f"{each:.3g} images/s of one (docs/performance.md) x {workers} data.workers"
    return LoaderSpeed(each * workers, machine is None and config.device == "cpu", source)


def timing(
    work: Work, size: SetSize, count: Macs, images_per_second: float, loader: LoaderSpeed
) -> Timing:
    """The time of a run whose arithmetic reaches ``images_per_second`` at the side of ``count``.

    Other sides are assumed to take time in proportion to their MACs, and an evaluation the
    forward share of a step.
    """
    step_macs = count.forward_macs + count.backward_macs
    seconds_a_mac = 1 / (images_per_second * step_macs)
    evaluated = work.evaluations * size.val_images
    arithmetic = math.fsum(
        s.images * (s.forward_macs + s.backward_macs) * seconds_a_mac for s in work.trained
    )
    forward = evaluated * count.forward_macs * seconds_a_mac
    if loader.images_per_second is None:
        return Timing(arithmetic, forward, "arithmetic")
    loading = sum(s.images for s in work.trained) / loader.images_per_second
    loading_evaluated = evaluated / loader.images_per_second
    both = (lambda a, b: a + b) if loader.shares_cores else max
    limit: Literal["arithmetic", "loader"] = "loader" if loading > arithmetic else "arithmetic"
    return Timing(both(arithmetic, loading), both(forward, loading_evaluated), limit)


def _segments(
    config: RunConfig, size: SetSize, counts: Mapping[int, Macs], epochs: float
) -> tuple[Segment, ...]:
    """Training images of ``epochs`` epochs per side; the side changes between epochs only."""
    images: dict[int, float] = {}
    for epoch in range(math.ceil(epochs)):
        progress = min(1.0, epoch / config.recipe.epochs)
        side = side_px(config.recipe.progressive, config.data.image_px, progress)
        part = min(1.0, epochs - epoch) * size.train_images
        images[side] = images.get(side, 0.0) + part
    return tuple(_segment(counts[side], round(part)) for side, part in images.items())


def _segment(count: Macs, images: int) -> Segment:
    return Segment(
        images=images,
        resolution_px=count.resolution_px,
        forward_macs=count.forward_macs,
        first_layer_macs=count.first_layer_macs,
        backward_macs=count.backward_macs,
    )


def steps(segments: Sequence[Segment], batch_size: int) -> int:
    """Approximate number of steps for these images."""
    return math.ceil(sum(segment.images for segment in segments) / batch_size)
