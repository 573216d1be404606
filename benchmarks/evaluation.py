"""Cost of evaluation: seconds to score the validation set, and seconds per training epoch.

The ratio is the share at the default cadence, one evaluation an epoch, while the target is not
near; near it there are four.  Digits, and 10,000 training and 2,000 validation images of 32 px
as in the CIFAR-10 subset, here parts of photographs.

    python benchmarks/evaluation.py [--json]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from blocks import harness, job, seconds_of, without_evaluation
from rows import Row, interleaved, row, show
from training import plant_parts

from efficiency_bench.training.evaluation import evaluate
from efficiency_bench.training.trainer import Job

PAIRS = 7
NETWORKS = ("alexnet", "resnet18", "shufflenet_v2_x1_0")


def compared(network: str, data: str, *changes: str) -> Row:
    """A pair is one evaluation, and an epoch at the speed of a block of steps."""
    scored = job(network, f"data={data}", *changes)
    blocks = harness(without_evaluation(job(network, f"data={data}", *changes)))
    steps = scored.data.steps_per_epoch(scored.recipe.batch_size)

    def epoch() -> float:
        return seconds_of(blocks) * steps

    seconds_to_score(scored), epoch()
    pairs = list(interleaved(lambda: seconds_to_score(scored), epoch, PAIRS))
    return row(f"evaluation/{network}, {data}", "seconds, other: of an epoch's training", pairs)


def seconds_to_score(run: Job) -> float:
    """Seconds of one evaluation, as the trainer makes it."""
    began = time.perf_counter()
    evaluate(run.model, run.data.validation(), torch.autocast("cpu", enabled=False))
    return time.perf_counter() - began


def rows(folder: Path) -> Iterator[Row]:
    """Return one row per network and data set."""
    root = plant_parts(folder)
    for network in NETWORKS:
        yield compared(network, "digits")
        yield compared(network, "cifar10", f"data.root={root}")


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    with tempfile.TemporaryDirectory() as folder:
        show(rows(Path(folder)), parser.parse_args().json)


if __name__ == "__main__":
    main()
