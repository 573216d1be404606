"""Other ways to train small networks on a CPU, each against the way that is used.

Three settings of torch, on a bare loop over the same network and batches of digits with one thread:
bf16 autocast, denormal numbers flushed to zero, oneDNN switched off.  The last rows are whole
commands: a sweep of as many runs as cores side by side with one thread each
(`hydra/launcher=cores`), against the same sweep one run after the other on all cores.

    python benchmarks/cpu_choices.py [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from blocks import BLOCK_STEPS, job, seconds_of
from rows import Row, interleaved, row, show

PAIRS = 5
SWEEP_PAIRS = 2
NETWORKS = ("alexnet", "resnet18", "shufflenet_v2_x1_0", "efficientnet_b0")
PROGRAM = str(Path(sys.executable).with_name("efficiency-bench"))
EPOCHS = 4
"""Of each run of a sweep: 180 steps, so that starting is the smaller part."""


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Denormal numbers count as zero."""
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


CHOICES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "bf16 autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "denormals flushed": flushed,
    "without oneDNN": partial(torch.backends.mkldnn.flags, enabled=False),
}


def loop(network: str, chosen: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    """Train in as few lines as possible; yield after every block of steps."""
    run = job(network, "threads=1")
    optimizer = torch.optim.SGD(run.model.parameters(), lr=0.01, momentum=0.9, foreach=True)
    run.model.train()
    steps = itertools.count(1)
    for epoch in itertools.count():
        for images, labels in run.data.train.epoch(epoch, run.recipe.batch_size, run.image_px):
            with chosen():
                optimizer.zero_grad()
                loss = F.cross_entropy(run.model(images), labels)
                with torch.autocast("cpu", enabled=False):  # torch advises against it for backward
                    loss.backward()
                optimizer.step()
            if next(steps) % BLOCK_STEPS == 0:
                yield


def settings_rows() -> Iterator[Row]:
    """Seconds a step with a setting, and without it."""
    torch.set_num_threads(1)
    for name, chosen in CHOICES.items():
        for network in NETWORKS:
            ours, other = loop(network, chosen), loop(network, contextlib.nullcontext)
            seconds_of(ours), seconds_of(other)
            pairs = interleaved(partial(seconds_of, ours), partial(seconds_of, other), PAIRS)
            yield row(f"cpu_choices/{name}, {network}", "seconds a step", list(pairs))


def sweep_rows() -> Iterator[Row]:
    """Seconds of a whole sweep, side by side and one after the other."""
    cores = len(os.sched_getaffinity(0))
    for network in NETWORKS:
        side_by_side = partial(sweep, network, cores, "hydra/launcher=cores", "threads=1")
        in_turn = partial(sweep, network, cores, f"threads={cores}")
        pairs = interleaved(side_by_side, in_turn, SWEEP_PAIRS)
        name = f"cpu_choices/{cores} runs side by side, {network}"
        yield row(name, "seconds a sweep, other: in turn", list(pairs))


def sweep(network: str, runs: int, *how: str) -> float:
    """Seconds of a sweep of ``runs`` seeds."""
    command = [
        PROGRAM, "train", "-m", f"experiment={network}", "data=digits", "device=cpu",
        f"recipe.epochs={EPOCHS}", "target.value=0.999", "tracking.wandb=false",
        f"seed={','.join(map(str, range(runs)))}", *how,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        return time.perf_counter() - began


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    show(itertools.chain(settings_rows(), sweep_rows()), parser.parse_args().json)


if __name__ == "__main__":
    main()
