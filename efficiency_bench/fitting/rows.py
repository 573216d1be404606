"""The rows of one fit from ledger entries: the runs of one model and recipe form a row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.axes import on_axis
from efficiency_bench.fitting.currencies import (
    OF_A_MACHINE,
    Crossing,
    Currency,
    comparable,
    cost_to_target,
    whole_compute,
)
from efficiency_bench.fitting.fit_row import FitRow, RowSet, common_facts, geometric_mean
from efficiency_bench.fitting.groups import Group, Selection, select
from efficiency_bench.fitting.ladder_rows import ladder_rows
from efficiency_bench.identity import RowKey, row_key
from efficiency_bench.records import Entry, exact_flops, paper3x_tfs_days, segments_until


def fit_rows(
    entries: Sequence[Entry],
    selection: Selection,
    *,
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    hardware: str | None = None,
) -> RowSet:
    """Group the entries that match ``selection`` into rows.

    Seeds of one row (``identity.row_key``) enter as the geometric mean of their compute to target.
    Baseline runs that set the target are added and charged their whole schedule.  Budgeted runs
    become ladders (``ladder_rows``).  Seconds, joules and dollars are compared on one kind of
    machine (``currencies.comparable``).  Raises UserError unless exactly one group matches
    (``groups.select``), and for ``hardware`` with a currency that does not depend on the machine.
    """
    if hardware is not None and currency not in OF_A_MACHINE:
        raise UserError(
            f"--hardware {hardware} with --currency {currency} is invalid: compute does not depend "
            "on the machine\nleave out --hardware, or choose --currency seconds, energy or dollars"
        )
    group, found, baselines = select(entries, selection)
    members = [entry for entry in found if selection.admits_date_of(entry)]
    if not members:
        first = min(str(entry.date) for entry in found)
        raise UserError(
            f"no row was published by {selection.until}: the first is of {first}\n"
            f"choose that day or a later one: --until {first}"
        )
    notes = []
    if later := len(found) - len(members):
        notes.append(f"{later} runs of rows published after {selection.until} are left out")
    baselines = [entry for entry in baselines if selection.admits_date_of(entry)]
    if group.estimand == "budgeted":
        row_set = ladder_rows(group, members, baselines, currency, hardware)
    else:
        row_set = _anytime_rows(group, members, baselines, crossing, currency, hardware)
    row_set = on_axis(row_set, selection)
    rows = sorted(row_set.rows, key=lambda row: (row.date or "9999", row.model, row.recipe))
    every = (*notes, *row_set.notes, *_remarks(rows))
    return replace(row_set, rows=tuple(rows), notes=every)


def _anytime_rows(
    group: Group,
    members: Sequence[Entry],
    baselines: Sequence[Entry],
    crossing: Crossing,
    currency: Currency,
    hardware: str | None,
) -> RowSet:
    """Return the rows of runs that stop at the target, and of the baselines that set it."""
    baselines, notes = _joining_baselines(members, baselines)
    charged = [*members, *baselines]
    if currency in OF_A_MACHINE:
        charged, without = comparable(charged, currency, hardware)
        notes += without
    gathered: dict[RowKey, list[Entry]] = {}
    for entry in charged:
        gathered.setdefault(row_key(entry), []).append(entry)
    tolerances = sorted({entry.known_target.tolerance for entry in members})
    if len(tolerances) > 1:
        notes.append(f"this fit mixes runs with different target tolerances: {_list(tolerances)}")
    return RowSet(
        group=group,
        target=min((entry.known_target for entry in members), key=lambda target: target.tolerance),
        rows=tuple(_row(runs, crossing, currency) for runs in gathered.values()),
        crossing=crossing,
        currency=currency,
        notes=tuple(notes),
    )


def compute_to_target(entry: Entry, crossing: Crossing, currency: Currency) -> float | None:
    """Return the training compute up to the crossing, in the currency's unit; None: never crossed.

    A run that set its own target is charged its whole schedule, as AlexNet was in the 2020 paper.
    """
    if currency in OF_A_MACHINE:
        return cost_to_target(entry, crossing, currency)
    if entry.sets_target:
        return whole_compute(entry, currency) if entry.end_reason == "schedule" else None
    if crossing == "sustained" or (entry.first_crossing_images == entry.sustained_crossing_images):
        return (
            entry.paper3x_to_target_tfs_days
            if currency == "paper3x"
            else entry.exact_flops_to_target
        )
    if entry.first_crossing_images is None:
        return None
    segments = segments_until(entry.segments, entry.first_crossing_images)
    return paper3x_tfs_days(segments) if currency == "paper3x" else exact_flops(segments)


def _epochs_to_target(entry: Entry, crossing: Crossing) -> float | None:
    if entry.sets_target:
        return entry.epochs
    return entry.first_crossing_epochs if crossing == "first" else entry.sustained_crossing_epochs


def _joining_baselines(
    members: Sequence[Entry], baselines: Sequence[Entry]
) -> tuple[list[Entry], list[str]]:
    """Return the baseline runs that belong to the group, and notes on the others."""
    named = {run_id for entry in members for run_id in entry.known_target.baseline_run_ids}
    joining = [entry for entry in baselines if entry.run_id in named]
    notes = []
    if missing := sorted(named - {entry.run_id for entry in joining}):
        notes.append(f"baseline runs named by the target are not in the ledger: {_list(missing)}")
    rows = {row_key(entry) for entry in joining}
    for entry in baselines:
        if entry in joining:
            continue
        if row_key(entry) in rows and entry.end_reason != "schedule":
            joining.append(entry)  # a failed seed of the baseline is censored, not dropped
        elif named:
            notes.append(f"baseline run {entry.run_id} is not part of this target: left out")
    return joining, notes


def _row(seeds: Sequence[Entry], crossing: Crossing, currency: Currency) -> FitRow:
    seeds = sorted(seeds, key=lambda entry: entry.run_id)
    found = {entry.run_id: compute_to_target(entry, crossing, currency) for entry in seeds}
    # a crossing before the first step would cost 0, which has no logarithm
    reached = {run_id: compute for run_id, compute in found.items() if compute}
    missed = {
        entry.run_id: spent
        for entry in seeds
        if entry.run_id not in reached and (spent := whole_compute(entry, currency))
    }
    computes = list(reached.values())
    epochs = [
        e
        for entry in seeds
        if entry.run_id in reached and (e := _epochs_to_target(entry, crossing)) is not None
    ]
    compute = geometric_mean(computes) if computes else None
    return FitRow(
        **common_facts(seeds),
        compute=compute,
        compute_low=min(computes, default=None),
        compute_high=max(computes, default=None),
        compute_spent=geometric_mean([w for e in seeds if (w := whole_compute(e, currency))]),
        compute_at_least=geometric_mean([*computes, *missed.values()]),
        compute_at_most=compute if len(reached) == len(seeds) else None,
        seeds=len(seeds),
        reached_seeds=len(reached),
        epochs_to_target=math.fsum(epochs) / len(epochs) if epochs else None,
        is_baseline=seeds[0].sets_target,
        seed_computes=reached,
        missed_computes=missed,
    )


def _remarks(rows: Iterable[FitRow]) -> list[str]:
    notes = []
    never: list[str] = []
    for row in rows:
        name = f"{row.model} {row.recipe}"
        if row.date is None:
            notes.append(f"{name} has no date: printed but not fitted")
        if row.compute_spent == 0:
            notes.append(f"{name}: its compute is not known: printed but not fitted")
        elif not row.reached:
            never.append(name)
        elif row.arrived_in_part:
            notes.append(
                f"{name}: {row.reached_seeds} of {row.seeds} seeds reached the target; the compute "
                "printed is their mean, which is too low for the row"
            )
    if never:
        notes.append(f"never reached the target: {_list(never)}")
    return notes


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
