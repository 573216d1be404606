"""Effect of each numeric setting: seconds per training step with and without it.

Both sides are the real trainer on the same network and batches, evaluation off, blocks in turn.
The defaults of ``efficiency_bench/run/device.py`` were chosen from these rows.

    python benchmarks/numerics.py [--json]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from functools import partial

from blocks import BLOCK_STEPS, harness, job, seconds_of, without_evaluation
from rows import Row, interleaved, row, show

PAIRS = 7
NETWORKS = ("alexnet", "resnet18", "shufflenet_v2_x1_0", "efficientnet_b0")
SGD = ("recipe.optimizer.name=sgd", "recipe.optimizer.momentum=0.9", "recipe.optimizer.lr=0.01")
ADAMW = ("recipe.optimizer.name=adamw", "recipe.optimizer.lr=0.001")
SETTINGS = {
    "channels_last": (("channels_last=true",), ("channels_last=false",)),
    "SGD foreach against single": (
        (*SGD, "optimizer_kernel=foreach"),
        (*SGD, "optimizer_kernel=single"),
    ),
    "SGD fused against foreach": (
        (*SGD, "optimizer_kernel=fused"),
        (*SGD, "optimizer_kernel=foreach"),
    ),
    "AdamW fused against foreach": (
        (*ADAMW, "optimizer_kernel=fused"),
        (*ADAMW, "optimizer_kernel=foreach"),
    ),
    "compile": (("compile=true",), ("compile=false",)),
}
"""Setting -> the overrides with it, and without it."""
COMPILED = ("alexnet", "resnet18")
"""With ShuffleNet v2 and EfficientNet-B0 too, torch was still compiling after six minutes more."""


def compared() -> Iterator[Row]:
    """Return one row per setting and network."""
    for setting, (with_it, without_it) in SETTINGS.items():
        for network in COMPILED if setting == "compile" else NETWORKS:
            ours = harness(without_evaluation(job(network, *with_it)))
            other = harness(without_evaluation(job(network, *without_it)))
            before = seconds_of(ours) * BLOCK_STEPS, seconds_of(other) * BLOCK_STEPS
            measures = partial(seconds_of, ours), partial(seconds_of, other)
            pairs = list(interleaved(*measures, PAIRS))
            yield row(f"numerics/{setting}, {network}", "seconds a step", pairs)
            if setting == "compile":
                name = f"numerics/compiling {network} and its first {BLOCK_STEPS} steps"
                yield row(name, "seconds, other: not compiled", [before])


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # forget what was compiled before
        show(compared(), asked.json)


if __name__ == "__main__":
    main()
