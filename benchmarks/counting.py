"""Seconds to count a network: F, B and the audit.

Ours: counted by both counters and audited, as every run does; other: the forward MACs by fvcore
alone.  The networks of suite=paper at 224 px, in a process that has counted before.

    python benchmarks/counting.py [--pairs N] [--json]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from rows import Row, interleaved, row, show
from throughput import networks

from efficiency_bench.counting.audit import audited_count
from efficiency_bench.counting.forward import count_forward
from efficiency_bench.models import build_model

IMAGE = (3, 224, 224)
"""Channels, px, px."""


def seconds(count: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of one count."""
    began = time.perf_counter()
    count(*arguments)
    return time.perf_counter() - began


def rows(pairs: int) -> Iterator[Row]:
    """Return one row per network."""
    audited_count(build_model("alexnet", form="imagenet", num_classes=1000), IMAGE)  # loads torch
    for network in networks():
        model = build_model(network, form="imagenet", num_classes=1000)
        measured = interleaved(
            lambda model=model: seconds(audited_count, model, IMAGE),
            lambda model=model: seconds(count_forward, model, IMAGE),
            pairs,
        )
        yield row(f"counting/{network}", "seconds, other: one counter", list(measured))


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    show(rows(asked.pairs), asked.json)


if __name__ == "__main__":
    main()
