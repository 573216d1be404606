"""Run the trainer in blocks of steps, so that two trainers can be timed alternately."""

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
    """Return the settings of a run on digits that is too long to end while it is timed."""
    overrides = [f"experiment={experiment}", "data=digits", "recipe.epochs=1000", *changes]
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        return config.load(compose("train", overrides=overrides))


def job(experiment: str, *changes: str) -> Job:
    """Return the training job of such a run."""
    asked = resolve(settings(experiment, *changes))
    data = build_data(asked.data, asked.recipe, 0, torch.device(asked.device))
    return build_job(asked, data, None, lambda: False)


def without_evaluation(run: Job) -> Job:
    """Validate on a single batch, since evaluation is not timed."""
    images, labels = next(iter(run.data.validation()))
    object.__setattr__(run.data, "validation", lambda: iter([(images[:2], labels[:2])]))
    return run


def harness(run: Job) -> Iterator[None]:
    """Yield after every block of BLOCK_STEPS steps of the trainer."""
    for record in train(run):
        if isinstance(record, Progress) and record.steps % BLOCK_STEPS == 0:
            yield


def seconds_of(blocks: Iterator[None]) -> float:
    """Return the seconds per step of the next block."""
    began = time.perf_counter()
    next(blocks)
    return (time.perf_counter() - began) / BLOCK_STEPS
