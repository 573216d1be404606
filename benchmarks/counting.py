"""How long it takes to know what a network computes: seconds for F, B and the audit of one image.

Ours: counted by both counters, as a first run does; other: found again among the kept counts, as
the next runs do.  The networks of suite=paper at 224 px, in a process that has counted before.

    python benchmarks/counting.py [--pairs N] [--json]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator

from rows import Row, interleaved, row, show
from throughput import networks

from efficiency_bench.counting.audit import audited_count
from efficiency_bench.counting.cache import kept_or_audited_count
from efficiency_bench.models import build_model

IMAGE = (3, 224, 224)
"""Channels, px, px."""


def seconds(count: Callable[..., object], *arguments: object) -> float:
    """Seconds of one count."""
    began = time.perf_counter()
    count(*arguments)
    return time.perf_counter() - began


def rows(pairs: int) -> Iterator[Row]:
    """A row a network."""
    audited_count(build_model("alexnet", form="imagenet", num_classes=1000), IMAGE)  # loads torch
    for network in networks():
        model = build_model(network, form="imagenet", num_classes=1000)
        kept_or_audited_count(model, IMAGE)
        measured = interleaved(
            lambda model=model: seconds(audited_count, model, IMAGE),
            lambda model=model: seconds(kept_or_audited_count, model, IMAGE),
            pairs,
        )
        yield row(f"counting/{network}", "seconds, other: kept", list(measured))


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # the user's kept counts have no part in it
        show(rows(asked.pairs), asked.json)


if __name__ == "__main__":
    main()
