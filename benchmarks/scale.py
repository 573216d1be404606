"""How time grows with the size of a ledger or log: seconds per size, and the growth exponent.

The ledgers are copies of one run that is really trained on digits, each a seed of its own with
an event log of its own, so that every one passes verification; the logs are those of one run
with ever more progress.  The exponent is the slope of log time over log size, 1 for linear.
The size of the report's page is measured in the same way as a time.

    python benchmarks/scale.py [--entries 1000,10000,100000] [--events 1000,10000,100000] [--json]
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from copies import Original, plant_copies, plant_long_log, trained
from rows import Row, machine, show

from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.robustness.checks import robustness_checks
from efficiency_bench.fitting.robustness.crossing_errors import crossing_errors
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import read_events
from efficiency_bench.ledger.export import row as listed
from efficiency_bench.ledger.history import effective_events
from efficiency_bench.records import Entry
from efficiency_bench.report.page.page import INDEX, write_page
from efficiency_bench.reproducibility.data_and_counts import verify_ledger

MODELS_A_FIT = 25
"""Rows that the copies are spread over for a fit: as many networks as fifteen years may bring."""

Task = Callable[[Path], object]


def main() -> None:
    """Print the rows, as JSON or in words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--entries", type=sizes, default=sizes("1000,10000,100000"))
    parser.add_argument("--events", type=sizes, default=sizes("1000,10000,100000"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(rows(Path(folder), asked.entries, asked.events), asked.json)


def sizes(text: str) -> list[int]:
    """``1000,10000`` as numbers, rising."""
    return sorted(int(part) for part in text.split(","))


def rows(folder: Path, entries: Sequence[int], events: Sequence[int]) -> Iterator[Row]:
    """Return one row per task: time at the largest size against linear growth from the smallest."""
    os.chdir(folder)
    original = trained(folder / "original")
    ledgers = {size: plant_copies(original, folder / f"{size}", size) for size in entries}
    tasks = {"list": list_ledger, "fit": fit_ledger, "report": report, "verify": verify_all}
    for name, task in tasks.items():
        yield slowness(f"scale/{name}", "entries", task, ledgers)
        if task is report:
            pages = {size: page_mb(ledger) for size, ledger in ledgers.items()}
            yield growth("scale/page of the report", "MB", "entries", pages)
    yield from log_rows(original, folder, events)


def log_rows(original: Original, folder: Path, events: Sequence[int]) -> Iterator[Row]:
    """Reading a log, and verifying a run that has it."""
    ledgers = {size: plant_long_log(original, folder / f"log-{size}", size) for size in events}
    logs = {size: next(ledger.parent.rglob("events.jsonl")) for size, ledger in ledgers.items()}
    tasks = {"read a log": lambda path: effective_events(read_events(path).events)}
    for name, task in tasks.items():
        yield slowness(f"scale/{name}", "events", task, logs)
    yield slowness("scale/verify a log", "events", verify_all, ledgers)


def list_ledger(ledger: Path) -> object:
    """What `ledger list --json` computes."""
    with store.collector_paused():
        return [listed(entry) for entry in store.read(ledger).entries]


def fit_ledger(ledger: Path) -> object:
    """What `fit` computes."""
    entries = spread(store.read(ledger).entries)
    gathered = fit_rows(entries, Selection())
    result = halving_time(gathered, "frontier")
    return robustness_checks(gathered, result, crossing_errors(entries, gathered))


def report(ledger: Path) -> object:
    """What `report` writes: the page and its charts."""
    return write_page(spread(store.read(ledger).entries), str(ledger), ledger.parent / "report")


def page_mb(ledger: Path) -> float:
    """The size of the page that ``report`` wrote, in MB."""
    return (ledger.parent / "report" / INDEX).stat().st_size / 1e6


def spread(entries: Sequence[Entry]) -> list[Entry]:
    """The copies as seeds of several networks of different dates and compute."""
    return [
        entry.model_copy(
            update={
                "model": f"model{number % MODELS_A_FIT}",
                "date": f"{2000 + number % MODELS_A_FIT}-01-01",
                "paper3x_to_target_tfs_days": (entry.paper3x_to_target_tfs_days or 1e-9)
                * 2.0 ** (-number % MODELS_A_FIT)
                * (1 + number / 1e7),
            }
        )
        for number, entry in enumerate(entries)
    ]


def verify_all(ledger: Path) -> object:
    """What `verify` computes; every entry must pass."""
    results = verify_ledger(str(ledger), None, None)
    failed = [result for result in results if not result.ok]
    assert results, ledger
    assert not failed, failed[:1]
    return results


def slowness(name: str, what: str, task: Task, places: dict[int, Path]) -> Row:
    """Seconds of a task at each size."""
    measured = {size: seconds(task, place) for size, place in sorted(places.items())}
    return growth(name, "seconds", what, measured)


def growth(name: str, unit: str, what: str, measured: dict[int, float]) -> Row:
    """A quantity at each size; ratio: that at the largest over what linear growth gives."""
    (small, first), (large, last) = min(measured.items()), max(measured.items())
    linear = first * large / small
    return {
        "name": name,
        "ours": last,
        "other": linear,
        "unit": f"{unit} for {large} {what}, other: {small} scaled up",
        "ratio": last / linear,
        "low": last / linear,
        "high": last / linear,
        "pairs": 1,
        "machine": machine(),
        "exponent": exponent(list(measured.items())),
        "by_size": {str(size): value for size, value in measured.items()},
    }


def seconds(task: Task, place: Path) -> float:
    """Return the seconds of a task; the better of two if it is short."""
    best = math.inf
    for _ in range(2):
        began = time.perf_counter()
        task(place)
        best = min(best, time.perf_counter() - began)
        if best > 60:
            break
    return best


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Least-squares slope of log time over log size; None of a single size."""
    if len(points) < 2:
        return None
    x, y = ([math.log(value) for value in column] for column in zip(*points, strict=True))
    middle = math.fsum(x) / len(x)
    weight = math.fsum((a - middle) ** 2 for a in x)
    return math.fsum((a - middle) * b for a, b in zip(x, y, strict=True)) / weight


if __name__ == "__main__":
    main()
