"""Training throughput of each network on synthetic images: the defaults against plain fp32.

ImageNet's forms at 224 px come as ready batches, the small forms at 32 px through the in-memory
loader with their augmentation.  Plain: fp32, rows of channels, one kernel call for each tensor of
the optimizer.  Both sides take turns.  Meant for a GPU; a CPU takes an hour.

    python benchmarks/throughput.py [--data imagenet,cifar10] [--seconds S] [--json]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml
from hydra import compose, initialize_config_module
from rows import Row, interleaved, row, show

from efficiency_bench import config, hydra_app  # noqa: F401  (hydra_app: the schema)
from efficiency_bench.errors import UserError
from efficiency_bench.plan.probe import probed
from efficiency_bench.run.device import resolve
from efficiency_bench.run.setup import counted_model

PAIRS = 5
CLASSES = {"imagenet": 1000, "cifar10": 10}
PAPER = Path(__file__).parent.parent / "configs" / "suite" / "paper.yaml"
PLAIN = ("precision=fp32", "channels_last=false", "optimizer_kernel=single")


def rate(network: str, data: str, seconds: float, *changes: str) -> Callable[[], float]:
    """Return a function that measures images per second, each time on the same network."""
    overrides = [f"experiment={network}", f"data={data}", *changes]
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        settings = resolve(config.load(compose("train", overrides=overrides)))
    model, _ = counted_model(settings, CLASSES[data], ())
    return lambda: probed(settings, model, CLASSES[data], seconds).images_per_second


def networks() -> list[str]:
    """The experiments of suite=paper, each named like its network."""
    suite = yaml.safe_load(PAPER.read_text(encoding="utf-8"))
    names: list[str] = suite["hydra"]["sweeper"]["params"]["experiment"].split(",")
    return names


def compared(
    data: str, seconds: float, chosen: Sequence[str] = (), pairs: int = PAIRS, *changes: str
) -> Iterator[Row]:
    """A row a network: those ``chosen``, or all; ``changes`` are for both sides."""
    for network in chosen or networks():
        try:
            ours, other = (rate(network, data, seconds, *changes, *side) for side in ((), PLAIN))
            ours(), other()  # libraries choose their kernels
            taken = list(interleaved(ours, other, pairs))
        except UserError as error:  # out of memory: other networks may still fit
            print(f"{network}, {data}: left out: {error}", file=sys.stderr)
            continue
        yield row(f"throughput/{network}, {data}", "images a second", taken)


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", default="imagenet,cifar10")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement, at least")
    asked = parser.parse_args()
    show((r for data in asked.data.split(",") for r in compared(data, asked.seconds)), asked.json)


if __name__ == "__main__":
    main()
