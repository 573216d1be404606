"""A gain in compute split into the parts of architecture and recipe."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

from scipy.special import stdtrit

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import Crossing, Currency
from efficiency_bench.fitting.fit_row import FitRow, RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.regression import CONFIDENCE
from efficiency_bench.fitting.rows import compute_to_target, fit_rows
from efficiency_bench.fitting.sensitivity.curves import (
    compute_at,
    rows_at,
    runs_with_curves,
    target_at,
)
from efficiency_bench.records import Entry, Record, Target

Player = TypeVar("Player", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval; None without replicates."""

    value: float
    low: float | None
    high: float | None


def weighted_sum(
    samples: Mapping[Player, Sequence[float]], weights: Mapping[Player, float]
) -> Interval:
    """Return the weighted sum of group means, with Welch's t-interval.

    Groups may differ in scatter and size; the degrees of freedom are Satterthwaite's.  A bootstrap
    would not work for two or three seeds, because resampling cannot exceed their scatter.  If a
    group has only one member, its scatter is not known and the interval is None.
    Source: Welch 1947, "The generalization of Student's problem".
    """
    value = math.fsum(w * _mean(samples[group]) for group, w in weights.items())
    used = {group: samples[group] for group, w in weights.items() if w}
    if any(len(sample) < 2 for sample in used.values()):
        return Interval(value, None, None)
    parts = {g: weights[g] ** 2 * _variance(sample) / len(sample) for g, sample in used.items()}
    variance = math.fsum(parts.values())
    if variance == 0:
        return Interval(value, value, value)
    shares = [(part / variance) ** 2 / (len(used[group]) - 1) for group, part in parts.items()]
    quantile = float(stdtrit(1 / math.fsum(shares), 0.5 + CONFIDENCE / 2))
    half_width = quantile * math.sqrt(variance)
    return Interval(value, value - half_width, value + half_width)


def _mean(sample: Sequence[float]) -> float:
    return math.fsum(sample) / len(sample)


def _variance(sample: Sequence[float]) -> float:
    mean = _mean(sample)
    return math.fsum((x - mean) ** 2 for x in sample) / (len(sample) - 1)


FACTORS = ("architecture", "recipe")
WHOLE, INTERACTION = "whole gain", "interaction"


@dataclass(frozen=True)
class Corner:
    """One network trained with one recipe."""

    model: str
    recipe: str


class Part(Record):
    """One part of the gain in log2 of compute; positive if compute falls."""

    name: str
    """``architecture``, ``recipe``, ``whole gain`` or ``interaction``."""
    log2_gain: float
    """Number of halvings of compute."""
    low_log2_gain: float | None
    high_log2_gain: float | None
    """Ends of the 95 % interval; None if a corner has a single seed."""
    factor: float
    """2**log2_gain."""
    low_factor: float | None
    high_factor: float | None


class Cell(Record):
    """One of the four measured corners."""

    model: str
    recipe: str
    compute: float
    """Geometric mean over the seeds that reached the target, in ``Decomposition.currency``."""
    seeds: int
    reached_seeds: int


class Decomposition(Record):
    """The gain from one network and recipe to another, split into parts."""

    data: str
    target: Target
    currency: str
    crossing: Crossing
    cells: tuple[Cell, ...]
    """In order: old network and recipe; new network; new recipe; both new."""
    parts: tuple[Part, ...]
    """Architecture and recipe, which add up to the whole gain; the whole gain; the interaction."""
    method: str
    notes: tuple[str, ...]


def parse_corner(text: str) -> Corner:
    """Parse ``MODEL,RECIPE``; raises UserError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts):
        raise UserError(
            f"cannot read {text!r} as MODEL,RECIPE\n"
            "give both: decompose --from alexnet,small_alexnet --to resnet18,small_smoothed"
        )
    return Corner(*parts)


def decompose(
    entries: Sequence[Entry],
    selection: Selection,
    old: Corner,
    new: Corner,
    *,
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
    at: float | None = None,
) -> Decomposition:
    """Split the gain from ``old`` to ``new`` into architecture and recipe by Shapley values.

    The part of a factor is the mean of its gain when it changes first and when it changes second,
    in log2 of compute to target; all four corners must be measured.  The interaction is the joint
    gain minus the gains of each factor changed alone from ``old``.  Seeds are the replicates of
    Welch's t-interval (``weighted_sum``).  With ``at``, a fraction, the gain is split at that
    accuracy, which is read from the curves as in a sweep.  Raises UserError for a corner that is
    missing, ambiguous, or never reached the target.
    """
    if old.model == new.model or old.recipe == new.recipe:
        raise UserError(
            f"from {old.model},{old.recipe} to {new.model},{new.recipe} cannot be split: both the "
            "network and the recipe must change\n"
            "give two of each: decompose --from MODEL,RECIPE --to MODEL,RECIPE"
        )
    corners = _corners(old, new)
    whole = fit_rows(entries, selection, crossing=crossing, currency=currency)
    charged = _charged(entries, _only(whole, corners.values()), at)
    row_set = charged.rows
    rows = _measured(row_set, corners)
    log2_computes = {
        changed: [
            math.log2(compute)
            for run_id in row.run_ids
            if (compute := charged.computes.get(run_id))
        ]
        for changed, row in rows.items()
    }
    return Decomposition(
        data=row_set.group.data,
        target=row_set.target,
        currency=row_set.compute_unit,
        crossing=crossing,
        cells=tuple(_cell(row) for row in rows.values()),
        parts=tuple(
            _part(name, weighted_sum(log2_computes, weights))
            for name, weights in _weights().items()
        ),
        method="Shapley values of log2 compute; Welch's 95 % t-interval over seeds",
        notes=(*charged.notes, *_notes(rows.values(), whole_schedule=at is None)),
    )


def _corners(old: Corner, new: Corner) -> dict[frozenset[str], Corner]:
    """Return the set of changed factors -> its corner."""
    return {
        frozenset(changed): Corner(
            new.model if "architecture" in changed else old.model,
            new.recipe if "recipe" in changed else old.recipe,
        )
        for changed in ((), ("architecture",), ("recipe",), FACTORS)
    }


def _only(row_set: RowSet, corners: Iterable[Corner]) -> RowSet:
    """Keep only the rows of the corners, so that notes on other rows are not printed."""
    wanted = {(corner.model, corner.recipe) for corner in corners}
    kept = tuple(row for row in row_set.rows if (row.model, row.recipe) in wanted)
    return replace(row_set, rows=kept)


@dataclass(frozen=True)
class _Charged:
    """The rows at the accuracy that is split, and the compute of each run up to it."""

    rows: RowSet
    computes: Mapping[str, float | None]
    """Run id -> compute in the currency's unit; None if it never reached the target."""
    notes: tuple[str, ...] = ()


def _charged(entries: Sequence[Entry], row_set: RowSet, at: float | None) -> _Charged:
    """Return ``row_set`` at the runs' own target, or at the accuracy ``at`` from their curves."""
    crossing, currency = row_set.crossing, row_set.currency
    ids = {run_id for row in row_set.rows for run_id in row.run_ids}
    members = [entry for entry in entries if entry.run_id in ids]
    if at is None:
        own = {entry.run_id: compute_to_target(entry, crossing, currency) for entry in members}
        return _Charged(row_set, own)
    if not 0 < at < 1:
        raise UserError(
            f"--at {at:g} is invalid: an accuracy lies between 0 and 1\ngive a fraction: --at 0.4"
        )
    if row_set.group.estimand == "budgeted":
        raise UserError(
            f"--at {at:g} is invalid for budgeted runs, which have no curve to read\n"
            f"choose the level of the rows instead: --target {at:g}"
        )
    runs = runs_with_curves(members)
    target = target_at(row_set.target, at)
    found = {key: compute_at(run, target, crossing, currency) for key, run in runs.items()}
    moved = rows_at(row_set.rows, runs, target, crossing, currency).rows
    bounds = sorted(key for key, (_, bound) in found.items() if bound)
    notes = [f"read from the curves of runs that were trained to {row_set.target.value:.6g}"]
    if bounds:
        notes.append(f"above it at the first evaluation, charged up to there: {', '.join(bounds)}")
    return _Charged(
        replace(row_set, rows=moved, target=target),
        {key: compute for key, (compute, _) in found.items()},
        tuple(notes),
    )


def _weights() -> dict[str, dict[frozenset[str], float]]:
    """Return each part as weights of the corners' mean log2 compute, by the changed factors.

    For two factors, the Shapley value (Shapley 1953) is the mean over both orders: the gain of a
    factor when it changes first and when it changes second.
    """
    none, architecture, recipe, both = (
        frozenset(c) for c in ((), ("architecture",), ("recipe",), FACTORS)
    )
    return {
        "architecture": {none: 0.5, architecture: -0.5, recipe: 0.5, both: -0.5},
        "recipe": {none: 0.5, architecture: 0.5, recipe: -0.5, both: -0.5},
        WHOLE: {none: 1.0, both: -1.0},
        INTERACTION: {none: -1.0, architecture: 1.0, recipe: 1.0, both: -1.0},
    }


def _measured(
    row_set: RowSet, corners: Mapping[frozenset[str], Corner]
) -> dict[frozenset[str], FitRow]:
    """Return the row of each corner; UserError says what is missing and how to measure it."""
    found: dict[frozenset[str], FitRow] = {}
    missing: list[Corner] = []
    for changed, corner in corners.items():
        rows = [r for r in row_set.rows if (r.model, r.recipe) == (corner.model, corner.recipe)]
        if not rows:
            missing.append(corner)
        elif len(rows) > 1:
            ids = "; ".join(", ".join(row.run_ids) for row in rows)
            raise UserError(
                f"{corner.model},{corner.recipe} was run in {len(rows)} configurations: {ids}\n"
                "keep the entries of only one of them in the ledger folder"
            )
        elif not rows[0].reached:
            raise UserError(
                f"{corner.model},{corner.recipe} never reached the target "
                f"({rows[0].seeds} runs): its compute is unknown, and so is the split\n"
                "give it a longer schedule (recipe.epochs=N), decompose other corners, or split"
                " at a lower accuracy: --at 0.4"
            )
        else:
            found[changed] = rows[0]
    if missing:
        names = ", ".join(f"{corner.model},{corner.recipe}" for corner in missing)
        commands = "; ".join(_command(corner, row_set) for corner in missing)
        raise UserError(f"not measured: {names}\nmeasure: {commands}")
    return found


def _command(corner: Corner, row_set: RowSet) -> str:
    command = (
        f"efficiency-bench train model={corner.model} recipe={corner.recipe}"
        f" data={row_set.group.data}"
    )
    if row_set.target.source == "baseline":  # the command finds it in the ledger
        return command
    return f"{command} target.metric={row_set.target.metric} target.value={row_set.target.value:g}"


def _cell(row: FitRow) -> Cell:
    assert row.compute is not None
    return Cell(
        model=row.model,
        recipe=row.recipe,
        compute=row.compute,
        seeds=row.seeds,
        reached_seeds=row.reached_seeds,
    )


def _part(name: str, gain: Interval) -> Part:
    low, high = gain.low, gain.high
    return Part(
        name=name,
        log2_gain=gain.value,
        low_log2_gain=low,
        high_log2_gain=high,
        factor=2**gain.value,
        low_factor=None if low is None else 2**low,
        high_factor=None if high is None else 2**high,
    )


def _notes(rows: Iterable[FitRow], whole_schedule: bool) -> Iterator[str]:
    for row in rows:
        name = f"{row.model},{row.recipe}"
        if row.is_baseline and whole_schedule:
            yield f"{name} set the target and is charged its whole schedule"
        if row.reached_seeds == 1:
            yield f"{name} has one seed that reached the target: no interval"
        if row.reached_seeds < row.seeds:
            yield f"{name}: {row.reached_seeds} of {row.seeds} seeds reached: only they count"


def complete_grids(rows: Sequence[FitRow]) -> tuple[tuple[Corner, Corner], ...]:
    """Return (old, new) for every gain that ``decompose`` can split, sorted by name.

    Of two networks, the old one was published first.  Of two recipes, the old one is the
    baseline's, else the one with which the old network needs more compute.  A corner that was run
    in several configurations, or never reached the target, is not used.
    """
    found: dict[tuple[str, str], list[FitRow]] = {}
    for row in rows:
        found.setdefault((row.model, row.recipe), []).append(row)
    single = {key: same[0] for key, same in found.items() if len(same) == 1 and same[0].reached}
    dated = {key: row for key, row in single.items() if row.date is not None}
    models = {model: _first_date(model, dated) for model, _ in sorted(dated)}
    recipes = sorted({recipe for _, recipe in dated})
    grids = []
    for pair in combinations(models, 2):
        old, new = sorted(pair, key=lambda model: (models[model], model))
        for names in combinations(recipes, 2):
            if all((model, recipe) in dated for model in (old, new) for recipe in names):
                first, second = sorted(names, key=lambda recipe: _age(dated[old, recipe]))
                grids.append((Corner(old, first), Corner(new, second)))
    return tuple(grids)


def _first_date(model: str, dated: dict[tuple[str, str], FitRow]) -> str:
    return min(row.date for (name, _), row in dated.items() if name == model and row.date)


def _age(row: FitRow) -> tuple[bool, float]:
    return not row.is_baseline, -row.known_compute
