"""A job on the stand-in."""

from __future__ import annotations

import torch

from efficiency_bench.data import build_data
from efficiency_bench.run.device import resolve
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.trainer import Job
from tests.tiny import composed

DIGITS = ("data=digits", "data.train_images=300", "data.val_images=100")


def job_on(*overrides: str) -> Job:
    """What ``overrides`` train on the card, 300 digits."""
    config = resolve(composed(*DIGITS, *overrides))
    data = build_data(config.data, config.recipe, 0, torch.device(config.device))
    return build_job(config, data, None, lambda: False)
