"""The rows of a fit: seeds of one model and recipe gathered, censored runs kept."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import (
    OF_A_MACHINE,
    UNITS,
    Crossing,
    Currency,
    comparable,
    cost_to_target,
    whole_cost,
)
from efficiency_bench.fitting.groups import Group, Selection, select
from efficiency_bench.identity import RowKey, row_key
from efficiency_bench.records import (
    Entry,
    Target,
    exact_flops,
    paper3x_tfs_days,
    segments_until,
)

DAYS_PER_MONTH = 365.25 / 12
"""A month of the Julian year, so that twelve are one year."""


@dataclass(frozen=True)
class FitRow:
    """One model with one recipe, its seeds as replicates."""

    model: str
    recipe: str
    date: str | None
    """ISO date; None: shown, not fitted."""
    compute: float | None
    """Geometric mean over the seeds that reached, in the row set's currency; None: none did."""
    compute_low: float | None
    """Least among the seeds, of a budgeted row the interval's low end."""
    compute_high: float | None
    compute_spent: float
    """Geometric mean of the whole runs: where a censored row is known to lie above.  0 where
    nobody counted the network (an imported curve)."""
    compute_at_least: float
    """Geometric mean over the seeds, one that missed standing at what it spent.  Below the row's
    own compute where a seed missed, equal to it where all reached."""
    seeds: int
    reached_seeds: int
    epochs_to_target: float | None
    """Mean over the seeds that reached."""
    forward_macs: float
    """Mean over the seeds, MACs per image."""
    is_baseline: bool
    run_ids: tuple[str, ...]
    seed_computes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Run id -> compute to target, of the seeds that reached."""

    @property
    def arrived_in_part(self) -> bool:
        """Whether some of its seeds reached the target and others did not."""
        return 0 < self.reached_seeds < self.seeds

    @property
    def reached(self) -> bool:
        """Whether any seed reached the target."""
        return self.compute is not None

    @property
    def day(self) -> int:
        """The date of a dated row as a count of days."""
        assert self.date is not None
        return datetime.date.fromisoformat(self.date).toordinal()

    @property
    def months(self) -> float:
        """The date of a dated row in months."""
        return self.day / DAYS_PER_MONTH

    @property
    def known_compute(self) -> float:
        """The compute of a row that reached."""
        assert self.compute is not None
        return self.compute


@dataclass(frozen=True)
class RowSet:
    """The rows of one fit, oldest first, and what should be said about them."""

    group: Group
    target: Target
    """The target of the group's runs, the strictest tolerance where they differ."""
    rows: tuple[FitRow, ...]
    crossing: Crossing
    currency: Currency
    notes: tuple[str, ...]

    @property
    def compute_unit(self) -> str:
        """``paper3x_tfs_days``, or that of another currency."""
        return UNITS[self.currency]


def fit_rows(
    entries: Sequence[Entry],
    selection: Selection,
    *,
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    hardware: str | None = None,
) -> RowSet:
    """Gather the entries that ``selection`` leaves into rows.

    Seeds of one row (``identity.row_key``) stand at the geometric mean of their compute to
    target.  The baseline's runs that set the target join it, charged their whole schedule.  Raises
    UserError where several groups or none are left (``groups.select``).  In seconds, joules or
    dollars only runs of one kind of machine stand together: ``currencies.comparable``; compute
    has no machine, so ``hardware`` beside it is refused.
    """
    if hardware is not None and currency not in OF_A_MACHINE:
        raise UserError(
            "--hardware goes with --currency seconds, energy or dollars: compute has none"
        )
    group, found, beside = select(entries, selection)
    members = [entry for entry in found if selection.knows(entry)]
    if not members:
        first = min(str(entry.date) for entry in found)
        raise UserError(f"no row here was published by {selection.until}: the first is of {first}")
    baselines, notes = _joining_baselines(members, [e for e in beside if selection.knows(e)])
    if later := len(found) - len(members):
        notes.append(f"{later} runs of rows published after {selection.until} are left out")
    charged = [*members, *baselines]
    if currency in OF_A_MACHINE:
        charged, without = comparable(charged, currency, hardware)
        notes += without
    gathered: dict[RowKey, list[Entry]] = {}
    for entry in charged:
        gathered.setdefault(row_key(entry), []).append(entry)
    rows = [_row(runs, crossing, currency) for runs in gathered.values()]
    rows.sort(key=lambda row: (row.date or "9999", row.model, row.recipe))
    target = min((entry.known_target for entry in members), key=lambda target: target.tolerance)
    notes += _remarks(members, rows)
    return RowSet(group, target, tuple(rows), crossing, currency, tuple(notes))


def compute_to_target(entry: Entry, crossing: Crossing, currency: Currency) -> float | None:
    """Training compute at the crossing, in the currency's unit; None: never crossed.

    A run that set its own target is charged its whole schedule, as AlexNet was in 2020.
    """
    if currency in OF_A_MACHINE:
        return cost_to_target(entry, crossing, currency)
    if entry.sets_target:
        return _whole(entry, currency) if entry.end_reason == "schedule" else None
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


def _whole(entry: Entry, currency: Currency) -> float | None:
    if currency in OF_A_MACHINE:
        return whole_cost(entry, currency)
    return entry.paper3x_tfs_days if currency == "paper3x" else entry.exact_flops


def _epochs_to_target(entry: Entry, crossing: Crossing) -> float | None:
    if entry.sets_target:
        return entry.epochs
    return entry.first_crossing_epochs if crossing == "first" else entry.sustained_crossing_epochs


def _joining_baselines(
    members: Sequence[Entry], beside: Sequence[Entry]
) -> tuple[list[Entry], list[str]]:
    """Baseline runs that belong to the group, and what to say about the others."""
    named = {run_id for entry in members for run_id in entry.known_target.baseline_run_ids}
    joining = [entry for entry in beside if entry.run_id in named]
    notes = []
    if missing := sorted(named - {entry.run_id for entry in joining}):
        notes.append(f"baseline runs named by the target are not in the ledger: {_list(missing)}")
    rows = {row_key(entry) for entry in joining}
    for entry in beside:
        if entry in joining:
            continue
        if row_key(entry) in rows and entry.end_reason != "schedule":
            joining.append(entry)  # a seed of the baseline that failed: censored, not dropped
        elif named:
            notes.append(f"baseline run {entry.run_id} is not part of this target: left out")
    return joining, notes


def _row(seeds: Sequence[Entry], crossing: Crossing, currency: Currency) -> FitRow:
    seeds = sorted(seeds, key=lambda entry: entry.run_id)
    first = seeds[0]
    pairs = [(entry, compute_to_target(entry, crossing, currency)) for entry in seeds]
    # a crossing before the first step would cost nothing, and has no logarithm
    reached = [(entry, compute) for entry, compute in pairs if compute]
    computes = [compute for _, compute in reached]
    epochs = [e for entry, _ in reached if (e := _epochs_to_target(entry, crossing)) is not None]
    return FitRow(
        model=first.model,
        recipe=first.recipe,
        date=first.date,
        compute=geometric_mean(computes) if computes else None,
        compute_low=min(computes, default=None),
        compute_high=max(computes, default=None),
        compute_spent=geometric_mean([w for e in seeds if (w := _whole(e, currency))]),
        compute_at_least=geometric_mean(
            [c for e, own in pairs if (c := own or _whole(e, currency))]
        ),
        seeds=len(seeds),
        reached_seeds=len(reached),
        epochs_to_target=math.fsum(epochs) / len(epochs) if epochs else None,
        forward_macs=math.fsum(entry.forward_macs or 0.0 for entry in seeds) / len(seeds),
        is_baseline=first.sets_target,
        run_ids=tuple(entry.run_id for entry in seeds),
        seed_computes={entry.run_id: compute for entry, compute in reached},
    )


def _remarks(members: Sequence[Entry], rows: Iterable[FitRow]) -> list[str]:
    notes = []
    tolerances = sorted({entry.known_target.tolerance for entry in members})
    if len(tolerances) > 1:
        notes.append(f"runs with different tolerances stand together: {_list(tolerances)}")
    never: list[str] = []
    for row in rows:
        name = f"{row.model} {row.recipe}"
        if row.date is None:
            notes.append(f"{name} has no date: shown, not fitted")
        uncounted = row.compute_spent == 0
        if uncounted:
            notes.append(f"{name}: nobody counted its compute: shown, not fitted")
        elif row.reached_seeds == 0:
            never.append(name)
        elif row.reached_seeds < row.seeds:
            notes.append(
                f"{name}: {row.reached_seeds} of {row.seeds} seeds reached the target; "
                "its compute is theirs, too low if the others had been trained on"
            )
    if never:
        notes.append(f"never reached the target, shown as censored, not fitted: {_list(never)}")
    return notes


def geometric_mean(values: Sequence[float]) -> float:
    """Geometric mean of positive values; 0 of none."""
    if not values:
        return 0.0
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
