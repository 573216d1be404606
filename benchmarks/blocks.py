"""The trainer a block of steps at a time, so that two trainers can be timed in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from hydra import compose, initialize_config_module

from efficiency_bench import config, hydra_app  # noqa: F401  (hydra_app: the schema)
from efficiency_bench.config import RunConfig
from efficiency_bench.data import build_data
from efficiency_bench.run.device import resolve
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.trainer import Job, Progress, train

BLOCK_STEPS = 20
"""One block is as many steps as the trainer makes between two looks at the loss."""


def settings(experiment: str, *changes: str) -> RunConfig:
    """A run on digits that does not end while it is timed."""
    overrides = [f"experiment={experiment}", "data=digits", "recipe.epochs=1000", *changes]
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        return config.load(compose("train", overrides=overrides))


def job(experiment: str, *changes: str) -> Job:
    """What such a run trains."""
    asked = resolve(settings(experiment, *changes))
    data = build_data(asked.data, asked.recipe, 0, torch.device(asked.device))
    return build_job(asked, data, None, lambda: False)


def without_evaluation(run: Job) -> Job:
    """The trainer looks at one batch instead of the validation set: evaluation is not timed."""
    images, labels = next(iter(run.data.validation()))
    object.__setattr__(run.data, "validation", lambda: iter([(images[:2], labels[:2])]))
    return run


def harness(run: Job) -> Iterator[None]:
    """The trainer, a block at a time (it yields progress every BLOCK_STEPS steps)."""
    for record in train(run):
        if isinstance(record, Progress) and record.steps % BLOCK_STEPS == 0:
            yield


def seconds_of(blocks: Iterator[None]) -> float:
    """Seconds a step of the next block."""
    began = time.perf_counter()
    next(blocks)
    return (time.perf_counter() - began) / BLOCK_STEPS
