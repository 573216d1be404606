"""Where each run of a ledger crossed its target, with intervals, in epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from rich.table import Table

from efficiency_bench.fitting.crossing import CrossingKind
from efficiency_bench.fitting.crossing_interval import entry_crossing
from efficiency_bench.records import Entry
from efficiency_bench.report.layout import ABSENT, plain_table

ENDS = ("low", "high", "population_low", "population_high")


def crossing_rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """One row a run that was held to a target: each kind's value and interval, epochs.

    A baseline that set its own target has none, nor has a row without a curve.
    """
    for entry in entries:
        if entry.target.source == "own_schedule" or not entry.evaluations:
            continue
        last = entry.evaluations[-1]
        images_per_epoch = last.images / last.epochs if last.epochs else 1.0
        row: dict[str, Any] = {"run_id": entry.run_id, "end_reason": entry.end_reason}
        for kind in get_args(CrossingKind):
            estimate = entry_crossing(entry, kind)
            assert estimate is not None
            row[f"{kind}_epochs"] = _epochs(estimate.value, images_per_epoch)
            if kind == "sustained":
                row["left_censored"] = estimate.left_censored
                ends = {end: getattr(estimate, end) for end in ENDS}
                row |= {f"{end}_epochs": _epochs(ends[end], images_per_epoch) for end in ENDS}
        yield row


def crossings_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The rows as a table; fits 80 columns."""
    title = "Crossing of the target, epochs, with 95 % intervals"
    table = plain_table(title, "run id", "first", "isotonic", "sustained", "95 %", "new images")
    for row in rows:
        table.add_row(
            row["run_id"],
            _number(row["first_epochs"]),
            _number(row["isotonic_epochs"]),
            _number(row["sustained_epochs"]),
            _interval(row["low_epochs"], row["high_epochs"]),
            _interval(row["population_low_epochs"], row["population_high_epochs"]),
        )
    return table


def _epochs(images: float | None, images_per_epoch: float) -> float | None:
    return None if images is None else images / images_per_epoch


def _number(epochs: float | None) -> str:
    return ABSENT if epochs is None else f"{epochs:.2f}"


def _interval(low: float, high: float | None) -> str:
    return f"≥ {low:.2f}" if high is None else f"{low:.2f}-{high:.2f}"
