"""The runs of the page: the line of each, and its details."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficiency_bench.formatting import number, percent
from efficiency_bench.ledger.kept_log import start_event
from efficiency_bench.ledger.store import log_path
from efficiency_bench.records import Entry
from efficiency_bench.report.charts.curve_chart import thinned
from efficiency_bench.report.page.repeat_command import repeat_command
from efficiency_bench.report.sample import sample
from efficiency_bench.report.tables.fit_and_ledger import ledger_cells
from efficiency_bench.report.tables.layout import ABSENT
from efficiency_bench.stop_rule import metric_of_entry

NO_SUITE = "no suite"

FACTS = (
    "run id",
    "source",
    "ended",
    "target",
    "estimand",
    "images, whole run",
    "tfs-days, whole run",
    "FLOP, whole run",
    "images repeated after a crash",
    "training clock, s",
    "evaluation clock, s",
    "written",
    "event log",
    "data digest",
    "weights digest",
    "entry digest",
)
"""Labels of the facts about each run, in order."""


@dataclass(frozen=True)
class RunLine:
    """The cells of a run's collapsed row."""

    run_id: str
    network: str
    recipe: str
    seed: str
    data: str
    tier: str
    suite: str
    date: str
    ended: str
    target: str
    epochs: str
    compute: str


@dataclass(frozen=True)
class Runs:
    """The rows, and their details as JSON values, each stored once."""

    lines: tuple[RunLine, ...]
    opened: dict[str, dict[str, Any]]
    """Run id -> facts, command, curve (epochs, then percent), and indices of the parts of its
    configuration in ``shared``."""
    shared: list[Any]
    """Parts of configurations; most are shared by many runs."""


def runs(entries: Sequence[Entry], source: str, most: int, first: Collection[str]) -> Runs:
    """At most ``most`` runs of ``entries``, in order: those with ids in ``first``, then evenly.

    ``source`` is ``published`` or a ledger's folder.
    """
    lines, opened, shared = [], {}, _Shared()
    for entry in sample(entries, most, lambda entry: entry.run_id in first):
        begun = None if source == "published" else start_event(Path(source), entry.run_id)
        suite = str((begun or {}).get("suite") or NO_SUITE)
        lines.append(_line(entry, suite))
        opened[entry.run_id] = {
            "suite": suite,
            "data": entry.data,
            "tier": entry.tier,
            "facts": _facts(entry, source, begun is not None),
            "command": repeat_command(entry, source),
            "level": entry.target and round(100 * entry.target.threshold, 3),
            "metric": metric_of_entry(entry),
            "evaluations": len(entry.evaluations),
            "curve": list(zip(*thinned(entry), strict=True)),
            "config": {name: shared.place(part) for name, part in entry.config.items()},
            "provenance": shared.place(entry.provenance and entry.provenance.model_dump()),
        }
    return Runs(tuple(lines), opened, shared.values)


class _Shared:
    """A list of distinct values, compared by their JSON."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """The index of ``value`` in ``values``; appends it if it is new."""
        text = json.dumps(value, sort_keys=True)
        if text not in self._places:
            self._places[text] = len(self.values)
            self.values.append(value)
        return self._places[text]


def _line(entry: Entry, suite: str) -> RunLine:
    date, ended, target, epochs, compute = ledger_cells(entry)
    return RunLine(
        run_id=entry.run_id,
        network=entry.model,
        recipe=entry.recipe,
        seed=ABSENT if entry.seed is None else str(entry.seed),
        data=entry.data,
        tier=entry.tier,
        suite=suite,
        date=date,
        ended=ended,
        target=f"{metric_of_entry(entry).replace('top', 'top-')} {target}",
        epochs=epochs,
        compute=compute,
    )


def _facts(entry: Entry, source: str, has_log: bool) -> list[str | None]:
    """The text of each of ``FACTS``; None if unknown."""
    target = entry.target
    log = str(log_path(Path(source), entry.run_id)) if has_log else "none in this ledger"
    clocks = entry.clocks
    return [
        entry.run_id,
        entry.source,
        f"{entry.end_reason}; {entry.end_detail}".rstrip("; "),
        f"{percent(target.threshold)} or more, {target.source}" if target else None,
        entry.estimand,
        None if entry.images is None else f"{entry.images:,}",
        _number(entry.paper3x_tfs_days),
        _number(entry.exact_flops),
        f"{entry.repeated_images:,}",
        number(clocks.train_seconds) if clocks else None,
        number(clocks.evaluation_seconds) if clocks else None,
        entry.created_utc,
        log,
        entry.data_digest,
        entry.weights_digest,
        entry.entry_digest,
    ]


def _number(value: float | None) -> str | None:
    return None if value is None else number(value)
