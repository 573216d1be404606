"""A job on the stand-in."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from efficiency_bench.data import build_data
from efficiency_bench.run import processes
from efficiency_bench.run.device import resolve
from efficiency_bench.run.run import run
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.trainer import Job
from tests.accelerator.stand_in import installed
from tests.tiny import composed

DIGITS = ("data=digits", "data.train_images=300", "data.val_images=100")


def job_on(*overrides: str) -> Job:
    """Return the job of ``overrides`` on the stand-in: 300 digits."""
    config = resolve(composed(*DIGITS, *overrides))
    data = build_data(config.data, config.recipe, 0, torch.device(config.device))
    return build_job(config, data, None, lambda: False)


def train_as_a_rank(folder: Path) -> None:
    """Train ``RUN`` on the stand-in as this process's rank; its card and exit code as a file."""
    with installed(cards=2) as card:
        rank = processes.this_process().rank
        outcome = run(composed(*DIGITS, *run_in(folder)))
        processes.leave()
    found = {"exit": outcome.exit_code, "backends": card.backends, "card": card.current}
    (folder / f"{rank}.json").write_text(json.dumps(found))


def run_in(folder: Path) -> tuple[str, ...]:
    """A short run with its files in ``folder``."""
    return (
        *("experiment=resnet18", "recipe.epochs=2", "target.value=0.99", "tracking.wandb=false"),
        *(f"run_dir={folder / 'run'}", f"ledger_dir={folder / 'ledger'}"),
    )
