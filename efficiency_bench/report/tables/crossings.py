"""Target crossings of each run of a ledger, and of its seeds combined, in epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from rich.table import Table

from efficiency_bench.fitting.crossing_interval import (
    CrossingEstimate,
    combine_seeds,
    entry_crossing,
)
from efficiency_bench.identity import RowKey, row_key
from efficiency_bench.records import Entry
from efficiency_bench.report.tables.layout import ABSENT
from efficiency_bench.report.tables.run_columns import RunColumns
from efficiency_bench.target_crossing import CrossingKind

ENDS = ("low", "high", "population_low", "population_high")


def crossing_rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the crossings of each run, then of its row's seeds, with the sustained one's interval.

    In epochs.  Runs of their whole schedule (baselines, budgeted trials) and rows without a curve
    are left out.  Seeds of one row are combined if their configuration is known.
    """
    gathered: dict[RowKey, list[Entry]] = {}
    for entry in entries:
        to_the_end = entry.sets_target or entry.estimand == "budgeted"
        if not to_the_end and entry.evaluations:
            gathered.setdefault(row_key(entry), []).append(entry)
    for row, seeds in gathered.items():
        estimates = {kind: [_estimate(e, kind) for e in seeds] for kind in get_args(CrossingKind)}
        length = _images_per_epoch(seeds[0])
        for i, entry in enumerate(seeds):
            found = {kind: every[i] for kind, every in estimates.items()}
            yield _row(entry.run_id, [entry], found, length)
        if len(seeds) > 1 and row.settings is not None:
            name = f"{seeds[0].model} {seeds[0].recipe}: {len(seeds)} seeds"
            together = {kind: combine_seeds(found) for kind, found in estimates.items()}
            yield _row(name, seeds, together, length)


def crossings_table(
    rows: Iterable[Mapping[str, Any]], entries: Sequence[Entry], wide: bool = False
) -> Table:
    """The rows as a table, with combined seeds in bold; fits 80 columns unless ``wide``.

    ``entries`` are those of the rows.
    """
    runs = RunColumns(entries, wide)
    title = "Crossing of the target, epochs, with 95 % intervals"
    table = runs.table(title, "first", "isotonic", "sustained", "95 %", "new images")
    for row in rows:
        alone = row["seeds"] == 1
        table.add_row(
            *(runs.cells(row["run"]) if alone else runs.cells_of_several(row["run"])),
            _number(row["first_epochs"]),
            _number(row["isotonic_epochs"]),
            _number(row["sustained_epochs"]),
            _interval(row["low_epochs"], row["high_epochs"]),
            _interval(row["population_low_epochs"], row["population_high_epochs"]),
            style="" if alone else "bold",
        )
    return table


def _estimate(entry: Entry, kind: CrossingKind) -> CrossingEstimate:
    estimate = entry_crossing(entry, kind)
    assert estimate is not None  # there are evaluations
    return estimate


def _images_per_epoch(entry: Entry) -> float:
    last = entry.evaluations[-1]
    return last.images / last.epochs if last.epochs else 1.0


def _row(
    name: str,
    entries: Sequence[Entry],
    estimates: Mapping[CrossingKind, CrossingEstimate],
    images_per_epoch: float,
) -> dict[str, Any]:
    def epochs(images: float | None) -> float | None:
        return None if images is None else images / images_per_epoch

    sustained = estimates["sustained"]
    return {
        "run": name,
        "run_ids": [entry.run_id for entry in entries],
        "seeds": sustained.seeds,
        **{f"{kind}_epochs": epochs(found.value) for kind, found in estimates.items()},
        "left_censored": sustained.left_censored,
        **{f"{end}_epochs": epochs(getattr(sustained, end)) for end in ENDS},
    }


def _number(epochs: float | None) -> str:
    return ABSENT if epochs is None else f"{epochs:.2f}"


def _interval(low: float, high: float | None) -> str:
    return f"≥ {low:.2f}" if high is None else f"{low:.2f}-{high:.2f}"
