"""Rows of budgeted runs: one ladder per model and recipe, read at one accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import (
    OF_A_MACHINE,
    Currency,
    comparable,
    whole_compute,
)
from efficiency_bench.fitting.fit_row import FitRow, RowSet, common_facts, geometric_mean
from efficiency_bench.fitting.groups import Group
from efficiency_bench.fitting.ladder import (
    LEVEL_COUNT,
    Trial,
    ladder,
    plausible_levels,
    seed_ladders,
    standard_error,
)
from efficiency_bench.identity import SCHEDULE_LENGTH, network_key, row_key
from efficiency_bench.ledger.baseline import baseline_finals, is_baseline
from efficiency_bench.records import Entry, Target
from efficiency_bench.stop_rule import better_than_guessing, final_accuracy, metric_of_entry

LEVEL_COUNT_WITH_SEEDS = 7
"""Levels if rows have several seeds, since their likelihood takes a hundred times longer."""


def ladder_rows(
    group: Group,
    members: Sequence[Entry],
    baselines: Sequence[Entry],
    currency: Currency,
    hardware: str | None,
) -> RowSet:
    """Return the ladders of the group's budgeted runs and the baseline with its whole schedule.

    At a level other than the baseline's final accuracy, the baseline has a ladder like any other
    row.  Raises UserError if the group has no target value.
    """
    if not group.has_level:
        raise UserError(
            "these budgeted runs have no target, and no baseline on the same data sets one\n"
            "give a level: efficiency-bench fit --target 0.6; or measure the baseline: "
            "efficiency-bench train experiment=alexnet"
        )
    every = [*members, *baselines]
    notes: list[str] = []
    finals = baseline_finals(every, group.data_digest or None, group.metric)
    own_level = bool(finals) and math.isclose(
        math.fsum(finals.values()) / len(finals), group.target_value, rel_tol=1e-6
    )
    if currency in OF_A_MACHINE:
        every, notes = comparable(every, currency, hardware)
    if failed := sorted(entry.run_id for entry in every if entry.end_reason == "failed"):
        notes.append(f"runs that failed are left out: {', '.join(failed)}")
    rows = []
    for runs in _gathered((e for e in every if e.run_id not in failed), finals):
        whole = [entry for entry in runs if entry.run_id in finals]
        if whole and own_level:
            rows.append(_baseline_row(whole, currency))
        else:
            rows.append(_ladder_row(runs, group, currency))
            notes += _ladder_notes(rows[-1], runs)
    several = any(len(row.ladders) > 1 for row in rows)
    accuracies = list(finals.values())
    return RowSet(
        group=group,
        target=Target(
            metric=group.metric,
            value=group.target_value,
            confirmations=0,
            source="baseline" if own_level else "setting",
            baseline_run_ids=tuple(finals) if own_level else (),
        ),
        rows=tuple(rows),
        crossing="sustained",
        currency=currency,
        notes=tuple(notes),
        levels=_levels(accuracies, LEVEL_COUNT_WITH_SEEDS if several else LEVEL_COUNT)
        if own_level
        else (),
        target_error=standard_error(accuracies) if own_level else None,
    )


def _gathered(entries: Iterable[Entry], finals: Mapping[str, float]) -> list[list[Entry]]:
    """Return the runs of each row; the baseline and its network's budgeted runs share a row."""
    every = list(entries)
    base = {network_key(entry) for entry in every if is_baseline(entry) and entry.run_id in finals}
    rows: dict[object, list[Entry]] = {}
    for entry in every:
        names = network_key(entry)
        key = names if names in base else row_key(entry, SCHEDULE_LENGTH)
        rows.setdefault(key, []).append(entry)
    return list(rows.values())


def _levels(finals: Sequence[float], count: int) -> tuple[float, ...]:
    return tuple(plausible_levels(finals, count).tolist())


def _baseline_row(runs: Sequence[Entry], currency: Currency) -> FitRow:
    compute = geometric_mean([c for e in runs if (c := whole_compute(e, currency))])
    return FitRow(
        **common_facts(runs),
        compute=compute or None,
        compute_low=compute or None,
        compute_high=compute or None,
        compute_spent=compute,
        compute_at_least=compute,
        compute_at_most=compute or None,
        seeds=len(runs),
        reached_seeds=len(runs),
        epochs_to_target=math.fsum(e.epochs or 0.0 for e in runs) / len(runs),
        is_baseline=True,
    )


def _ladder_row(runs: Sequence[Entry], group: Group, currency: Currency) -> FitRow:
    rungs: dict[tuple[str, float], list[Entry]] = {}
    for entry in runs:
        rungs.setdefault(_rung(entry), []).append(entry)
    trials: list[Trial] = []
    epochs: dict[float, float] = {}
    for members in rungs.values():
        compute = geometric_mean([c for e in members if (c := whole_compute(e, currency))])
        if compute > 0:
            epochs[compute] = math.fsum(e.epochs or 0.0 for e in members) / len(members)
            trials += [
                Trial(compute, final_accuracy(e, group.metric), e.seed or 0) for e in members
            ]
    ladders = seed_ladders(trials) if trials else {}
    found = ladder(trials).compute_to(group.target_value) if trials else None
    high = found.high if found and found.arrived else None
    low = found.low if found else 0.0
    return FitRow(
        **common_facts(runs),
        compute=high,
        compute_low=low or None,
        compute_high=high,
        compute_spent=max(epochs, default=0.0),
        compute_at_least=low,
        compute_at_most=high,
        seeds=max(1, len(ladders)),
        reached_seeds=sum(own.compute_to(group.target_value).arrived for own in ladders.values()),
        epochs_to_target=None if high is None else epochs[_nearest(epochs, high)],
        is_baseline=False,
        ladders=ladders,
    )


def _nearest(computes: Iterable[float], wanted: float) -> float:
    """Return the rung nearest to ``wanted``, which passed through log2 and was rounded."""
    return min(computes, key=lambda compute: abs(math.log(compute / wanted)))


def _rung(entry: Entry) -> tuple[str, float]:
    """Return the key of a run's rung: its requested budget, since the spent one is rounded."""
    if entry.budget_asked is not None:
        return "budget", entry.budget_asked
    return ("budget", 1.0) if is_baseline(entry) else ("epochs", entry.epochs or 0.0)


def _ladder_notes(row: FitRow, runs: Sequence[Entry]) -> list[str]:
    name, notes = f"{row.model} {row.recipe}", []
    if diverged := sorted(e.run_id for e in runs if e.end_reason == "diverged"):
        notes.append(f"{name}: diverged, counted at chance level: {', '.join(diverged)}")
    metric = metric_of_entry(runs[0])
    if not any(better_than_guessing(entry, metric) for entry in runs):
        notes.append(
            f"{name}: no run is better than guessing; look for a fault in its form, rate or data "
            "before you read its bound"
        )
    if violations := sum(own.violations for own in row.ladders.values()):
        notes.append(
            f"{name}: {violations} times a larger budget ended at a lower accuracy; the accuracies "
            "of such budgets are averaged"
        )
    return notes
