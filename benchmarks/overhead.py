"""What the harness costs: seconds a step of the trainer against a bare loop, block by block.

Both train the same network on the same batches with the same augmentation and optimizer, the
bare one by the fewest lines that do so; evaluation is off.  Blocks alternate, so that a noisy
machine slows both, and the median ratio of the pairs is reported.

    python benchmarks/overhead.py [--json]
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_module
from rows import Row, interleaved, row, show

from efficiency_bench import config, hydra_app  # noqa: F401  (hydra_app: the schema)
from efficiency_bench.campaign.device import resolve
from efficiency_bench.campaign.job import build_job
from efficiency_bench.data import build_data
from efficiency_bench.training.trainer import Job, Progress, train

PAIRS = 20
BLOCK_STEPS = 20
"""One block is as many steps as the trainer makes between two looks at the loss."""


def job(experiment: str, *changes: str) -> Job:
    """A run on digits that neither evaluates nor ends while it is timed."""
    overrides = [f"experiment={experiment}", "data=digits", "recipe.epochs=1000", *changes]
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        settings = resolve(config.load(compose("train", overrides=overrides)))
    data = build_data(settings.data, settings.recipe, 0, torch.device(settings.device))
    return build_job(settings, data, None, lambda: False)


def harness(run: Job) -> Iterator[None]:
    """The trainer, a block at a time (it yields progress every BLOCK_STEPS steps)."""
    for record in train(run):
        if isinstance(record, Progress) and record.steps % BLOCK_STEPS == 0:
            yield


def bare(run: Job) -> Iterator[None]:
    """The fewest lines that train the same network on the same batches."""
    optimizer = torch.optim.SGD(
        run.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True
    )
    run.model.train()
    steps = 0
    for epoch in itertools.count():
        for images, labels in run.data.train.epoch(epoch, run.recipe.batch_size, run.image_px):
            optimizer.zero_grad()
            F.cross_entropy(run.model(images), labels).backward()
            optimizer.step()
            steps += 1
            if steps % BLOCK_STEPS == 0:
                yield


def seconds_of(blocks: Iterator[None]) -> float:
    """Seconds a step of the next block."""
    began = time.perf_counter()
    next(blocks)
    return (time.perf_counter() - began) / BLOCK_STEPS


def without_evaluation(run: Job) -> Job:
    """The trainer looks at one batch instead of the validation set: evaluation is not timed."""
    images, labels = next(iter(run.data.validation()))
    object.__setattr__(run.data, "validation", lambda: iter([(images[:2], labels[:2])]))
    return run


def compared(experiment: str) -> Row:
    """Seconds a step of both, block by block after one block of each to warm up."""
    ours, other = harness(without_evaluation(job(experiment))), bare(job(experiment))
    seconds_of(ours), seconds_of(other)
    pairs = list(interleaved(lambda: seconds_of(ours), lambda: seconds_of(other), PAIRS))
    return row(f"overhead/{experiment}", "seconds a step", pairs)


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    show(map(compared, ("resnet18",)), parser.parse_args().json)


if __name__ == "__main__":
    main()
