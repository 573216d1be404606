"""The results of one comparable set of runs for the page, computed like those of the verbs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import OF_A_MACHINE, Currency, machine
from efficiency_bench.fitting.fit import Fit, fit_row_set
from efficiency_bench.fitting.fit_row import RowSet
from efficiency_bench.fitting.groups import Group, Selection, comparable_sets
from efficiency_bench.fitting.halving import HalvingTime
from efficiency_bench.fitting.headline import choose_method, fit_by
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.conventions import ConventionTable, conventions
from efficiency_bench.fitting.sensitivity.decomposition import (
    Decomposition,
    complete_grids,
    decompose,
)
from efficiency_bench.fitting.sensitivity.epochs_and_images import (
    EpochsAndImages,
    epochs_and_images,
)
from efficiency_bench.fitting.sensitivity.threshold_sweep import ThresholdSweep, sweep
from efficiency_bench.fitting.width_elasticity import WidthElasticity, width_elasticity
from efficiency_bench.ledger.kept_log import macs_by_operator, start_event
from efficiency_bench.records import Entry, Estimand
from efficiency_bench.report.tables.crossings import crossing_rows
from efficiency_bench.report.tables.ladders import LadderLine, ladder_lines

T = TypeVar("T")

ALL = Selection(axis="architecture")
"""A comparable set needs no further selection but the axis, which is that of ``fit``."""

SWEPT_FROM, ROUND_LEVEL = 0.5, 0.05
"""The sweep begins at this fraction of the target's accuracy, rounded to whole levels, and ends at
the target, where the runs stop."""

MOST_GRIDS = 6
"""Most splits into architecture and recipe that are shown; each has two tables."""


@dataclass(frozen=True)
class NoResult:
    """The reason why a result is missing, as the verb prints it."""

    reason: str


@dataclass(frozen=True)
class SetResults:
    """The results of one set; a missing one is a ``NoResult`` with its reason."""

    group: Group
    entries: tuple[Entry, ...]
    source: str
    """Command-line arguments that make the verbs print the same, including the set's options."""
    rows: RowSet
    halving: Fit | NoResult
    exact: HalvingTime | NoResult
    """The same fit in exact FLOPs."""
    crossings: tuple[Mapping[str, Any], ...]
    ladders: tuple[LadderLine, ...]
    """Final accuracy by budget; empty for runs without budgets."""
    width: WidthElasticity | NoResult
    split: tuple[EpochsAndImages, ...] | NoResult
    grids: tuple[Decomposition, ...]
    grids_left_out: int
    sweep: ThresholdSweep | NoResult
    swept: str
    """The sweep's range in the syntax of the verb."""
    conventions: ConventionTable | NoResult
    in_currency: Mapping[Currency, HalvingTime | NoResult]
    """The same fit in seconds, energy and dollars."""
    operators: Mapping[str, Mapping[str, int]]
    """Run id -> forward MACs per image by operator at the largest side, if its log has them."""
    other_estimand: HalvingTime | None = None
    """The fit of the set that differs only in its estimand, if there is one."""


def set_results(entries: Sequence[Entry], source: str) -> list[SetResults]:
    """The results of each comparable set in ``entries``, which were read from ``source``.

    Sets without a level are left out (``sets_without_level``).
    """
    sets = {
        group: members for group, members in comparable_sets(entries).items() if group.has_level
    }
    found = {
        group: _results(group, tuple(members), source, _named(source, group, len(sets)))
        for group, members in sets.items()
    }
    return [replace(result, other_estimand=_other(group, found)) for group, result in found.items()]


def sets_without_level(entries: Sequence[Entry]) -> list[str]:
    """One sentence for each set of budgeted runs that has neither a target nor a baseline."""
    return [
        f"Not in a set: {len(members)} budgeted run{'' if len(members) == 1 else 's'} on"
        f" {group.data}, whose level no baseline sets"
        " (measure it: efficiency-bench train experiment=alexnet recipe=small_2020 budget=1)"
        for group, members in comparable_sets(entries).items()
        if not group.has_level
    ]


def _other(group: Group, found: Mapping[Group, SetResults]) -> HalvingTime | None:
    estimand: Estimand = "budgeted" if group.estimand == "anytime" else "anytime"
    result = found.get(replace(group, estimand=estimand))
    return None if result is None or isinstance(result.halving, NoResult) else result.halving


def _named(source: str, group: Group, sets: int) -> str:
    typed = "" if source == "runs/ledger" else f" {shlex.quote(source)}"
    return typed if sets == 1 else f"{typed} {group.options()}"


def _results(group: Group, entries: tuple[Entry, ...], ledger: str, source: str) -> SetResults:
    rows = fit_rows(entries, ALL)
    halving = _attempt(lambda: fit_row_set(rows, entries))
    low, high = _range(group.target_value)
    grids = complete_grids(rows.rows)
    return SetResults(
        group=group,
        entries=entries,
        source=source,
        rows=rows,
        halving=halving,
        exact=_attempt(lambda: _default_fit(fit_rows(entries, ALL, currency="exact"))),
        crossings=tuple(crossing_rows(entries)),
        ladders=tuple(ladder_lines(entries, group.metric)),
        width=_attempt(lambda: width_elasticity(entries, ALL)),
        split=_attempt(lambda: epochs_and_images(entries, ALL)),
        grids=tuple(decompose(entries, ALL, old, new) for old, new in grids[:MOST_GRIDS]),
        grids_left_out=max(0, len(grids) - MOST_GRIDS),
        sweep=_attempt(lambda: sweep(entries, ALL, low, high)),
        swept=f"{low:g}:{high:g}",
        conventions=_attempt(lambda: conventions(entries, ALL)),
        in_currency={currency: _fitted(entries, currency) for currency in OF_A_MACHINE},
        operators={} if ledger == "published" else _operators(Path(ledger), rows),
    )


def _fitted(entries: Sequence[Entry], currency: Currency) -> HalvingTime | NoResult:
    """Fit the set; with several machines, only the one with the most runs, as its notes say."""
    machines = Counter(machine(entry) for entry in entries if entry.tier == "measured")
    hardware = machines.most_common(1)[0][0] if len(machines) > 1 else None
    return _attempt(
        lambda: _default_fit(fit_rows(entries, ALL, currency=currency, hardware=hardware))
    )


def _operators(ledger: Path, rows: RowSet) -> dict[str, Mapping[str, int]]:
    """Forward MACs by operator of each row's first run; older logs do not have them."""
    firsts = (row.run_ids[0] for row in rows.rows)
    found = {run_id: macs_by_operator(start_event(ledger, run_id)) for run_id in firsts}
    return {run_id: operators for run_id, operators in found.items() if operators}


def _default_fit(rows: RowSet) -> HalvingTime:
    return fit_by(choose_method(rows), rows, with_line=False)


def _range(target: float) -> tuple[float, float]:
    """The range from about half the target up to the target, below 100 %."""
    high = min(max(target, 0.01), 0.999)
    low = ROUND_LEVEL * max(1, round(SWEPT_FROM * high / ROUND_LEVEL))
    return min(round(low, 2), high), float(f"{high:.6g}")


def _attempt(compute: Callable[[], T]) -> T | NoResult:
    try:
        return compute()
    except UserError as error:
        return NoResult("; ".join(line.rstrip(";") for line in str(error).splitlines()))
