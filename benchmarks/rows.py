"""Rows of all benchmarks: two measurements compared, and the machine they were taken on."""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from efficiency_bench import provenance

Row = dict[str, Any]
"""``name``, ``ours``, ``other``, ``unit``, ``ratio`` (ours / other), ``pairs``, ``machine``."""

Pair = tuple[float, float]
"""Ours and other, measured one right after the other."""


def machine() -> dict[str, Any]:
    """Return the host, the versions that affect speed, and the load from other work."""
    versions = provenance.package_versions()
    return {
        **provenance.host_hardware(),
        "python": versions["python"],
        "torch": versions.get("torch"),
        "load_1min": os.getloadavg()[0],
    }


def row(name: str, unit: str, pairs: Sequence[Pair], **more: Any) -> Row:
    """The medians of both sides, and of the ratios of the pairs: a busy moment slows both."""
    ratios = [ours / other for ours, other in pairs]
    return {
        "name": name,
        "ours": statistics.median(ours for ours, _ in pairs),
        "other": statistics.median(other for _, other in pairs),
        "unit": unit,
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "pairs": len(pairs),
        "machine": machine(),
        **more,
    }


def interleaved(
    ours: Callable[[], float], other: Callable[[], float], pairs: int
) -> Iterator[Pair]:
    """Measure both ``pairs`` times in turn; the second goes first every other time."""
    for number in range(pairs):
        if number % 2:
            late = other()
            yield ours(), late
        else:
            yield ours(), other()


def show(rows: Iterable[Row], as_json: bool) -> None:
    """Print the rows as JSON, or each as a line as soon as it is measured."""
    if as_json:
        json.dump(list(rows), sys.stdout, indent=2)
        print()
        return
    for each in rows:
        print(
            f"{each['name']}: {each['ours']:.4g} against {each['other']:.4g} {each['unit']}, "
            f"ratio {each['ratio']:.3f} ({each['low']:.3f} to {each['high']:.3f}, "
            f"{each['pairs']} pairs)",
            flush=True,
        )
