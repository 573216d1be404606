"""The choices of conventions for measured and imported runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import Crossing, Currency
from efficiency_bench.fitting.fit_row import FitRow, RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import LEAST_ROWS
from efficiency_bench.fitting.headline import choose_method
from efficiency_bench.fitting.ladder import standard_error
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.curves import CurveRun, rows_at, runs_with_curves
from efficiency_bench.ledger.baseline import baseline_finals
from efficiency_bench.records import Entry, Estimand, Target

Choice = Mapping[str, str]
"""Name of the axis -> chosen option."""


@dataclass(frozen=True)
class ChoiceAxis:
    """One choice: its options with the labels of their rows, the headline's option first."""

    name: str
    options: Mapping[str, str]
    """Option -> label of its row; the headline's own label is not printed."""
    cancels: bool = False
    """Whether it scales all rows alike, so that no result changes: printed but not combined."""

    @property
    def headline(self) -> str:
        """The headline's option."""
        return next(iter(self.options))


@dataclass(frozen=True)
class ChoiceSet:
    """The choices for one kind of source, and its rows under a choice."""

    axes: tuple[ChoiceAxis, ...]
    row_set: Callable[[Choice], RowSet]
    """Return the rows under the choices of ``axes``; the caller varies dates and method."""
    not_applicable: Mapping[str, str]
    """Choice that is not available -> reason."""
    headline: str
    """Label of the first row."""
    notes: tuple[str, ...] = ()


ERRORS = {"less its error": -1.0, "plus its error": 1.0}
"""Option of the target axis -> number of standard errors added to the level."""

METHOD_NAMES = {"censored": "all rows, censored ones included", "frontier": "frontier"}

HALF_A_PRINTED_DIGIT = 0.0005
"""Half of 0.1 %: the last digit in which the 2020 paper prints its levels."""

COUNTED = "a measured run is counted as it runs, never by the paper's figures"

NOT_APPLICABLE = {
    "published (rounded) compute or recomputed": COUNTED,
    "the paper's counts or exact ones": COUNTED,
    "1.28e6 or 1,281,167 images an epoch": "images are counted as they are processed",
    "AlexNet charged 62 epochs": "its own crossing is measured instead",
}


def measured_choices(entries: Sequence[Entry], selection: Selection) -> ChoiceSet:
    """Return the choices for measured or imported runs, and their rows under a choice."""
    row_set = fit_rows(entries, selection)
    budgeted = row_set.group.estimand == "budgeted"
    ids = {run_id for row in row_set.rows for run_id in row.run_ids}
    runs = {} if budgeted else runs_with_curves(entry for entry in entries if entry.run_id in ids)
    error = _target_error(entries, row_set)
    axes, missing = _axes(row_set, runs, error)
    scales, no_scales = _scales(entries, selection, row_set)
    schedule, no_schedule = _other_schedule(entries, selection, row_set)

    @cache
    def gathered(
        currency: Currency, crossing: Crossing, level: str, charge: str, scale: str, estimand: str
    ) -> RowSet:
        asked = replace(selection, estimand=cast(Estimand, estimand))
        if scale != "":
            asked = replace(asked, scale=float(scale))
        if level in ERRORS and estimand == "budgeted":
            asked = replace(asked, target=_at_level(row_set.target, level, error).value)
        found = fit_rows(entries, asked, crossing=crossing, currency=currency)
        if estimand == "budgeted" or budgeted:
            return found
        moved: Mapping[str, FitRow] = {}
        target = _at_level(row_set.target, level, error)
        if level != "recorded":
            kept = [row for row in found.rows if not row.is_baseline]
            moved = _by_id(rows_at(kept, runs, target, crossing, currency).rows)
        if charge == "own crossing":
            own = [row for row in found.rows if row.is_baseline]
            moved = {**moved, **_by_id(rows_at(own, runs, target, crossing, currency).rows)}
        rows = tuple(moved.get(row.run_ids[0], row) for row in found.rows)
        return replace(found, rows=rows)

    def under(choice: Choice) -> RowSet:
        found = gathered(
            cast(Currency, choice["currency"]),
            cast(Crossing, choice.get("crossing", "sustained")),
            choice.get("target", "recorded"),
            choice.get("baseline", "whole schedule"),
            choice.get("form width", ""),
            choice.get("schedule", row_set.group.estimand),
        )
        return _doubled(found) if choice["unit"] == "FLOP" else found

    bare = 0 if budgeted else len(ids) - len(runs)
    way = "budgeted" if budgeted else "sustained crossing"
    return ChoiceSet(
        (*axes, *scales, *schedule),
        under,
        {**missing, **no_scales, **no_schedule, **NOT_APPLICABLE},
        headline=f"headline: 3F, {way}, {METHOD_NAMES[choose_method(row_set).method]}",
        notes=(f"{bare} runs without a curve keep their recorded crossing",) if bare else (),
    )


def _axes(
    row_set: RowSet, runs: Mapping[str, CurveRun], error: float | None
) -> tuple[tuple[ChoiceAxis, ...], dict[str, str]]:
    """Return the axes that these runs have, and why others are missing."""
    target, budgeted = row_set.target, row_set.group.estimand == "budgeted"
    axes = [
        ChoiceAxis("currency", {"paper3x": "", "exact": "F + B as it ran, instead of 3F"}),
        ChoiceAxis("unit", {"MAC": "", "FLOP": "FLOP instead of MAC: all rows x 2"}, cancels=True),
    ]
    missing = {}
    levels = {"recorded": ""}
    if budgeted:
        missing["first or sustained crossing"] = "a budgeted run is read at its end"
    else:
        options = {"sustained": "", "first": "first crossing instead of sustained"}
        axes.append(ChoiceAxis("crossing", options))
        if not runs:
            missing["rounded or strict target"] = "no run here has a learning curve"
        elif target.tolerance:
            levels["strict"] = f"strict target: {100 * target.value:.4g} % without tolerance"
        else:
            lower = 100 * (target.value - HALF_A_PRINTED_DIGIT)
            levels["rounded"] = f"rounded target: {lower:.4g} % counts"
    if error is None:
        missing["target plus or minus its error"] = "fewer than two baseline seeds set it"
    else:
        points = f"its standard error, {100 * error:.2g} points"
        if budgeted or runs:
            levels["less its error"] = f"target less {points}"
        if budgeted:
            levels["plus its error"] = f"target plus {points}"
        else:
            missing["target plus its error"] = "runs stop at the target and say nothing above it"
    axes.append(ChoiceAxis("target", levels))
    if any(run.is_baseline for run in runs.values()):
        label = "AlexNet charged to its own crossing only"
        axes.append(ChoiceAxis("baseline", {"whole schedule": "", "own crossing": label}))
    elif not budgeted:
        missing["AlexNet charged its whole schedule or its own crossing"] = (
            "no run here set its own target: every network is charged its crossing"
        )
    return tuple(axes), missing


def _scales(
    entries: Sequence[Entry], selection: Selection, row_set: RowSet
) -> tuple[tuple[ChoiceAxis, ...], dict[str, str]]:
    """Return the axis of form widths: other scales with at least three networks."""
    every = fit_rows(entries, replace(selection, axis=None)).rows
    taken = {row.scale for row in row_set.rows}
    models: dict[float, set[str]] = {}
    for row in every:
        models.setdefault(row.scale, set()).add(row.model)
    others = sorted(s for s, names in models.items() if s not in taken and len(names) >= LEAST_ROWS)
    if selection.axis is None or not others:
        return (), {"form width": "fewer than three networks were run at another model.scale"}
    labels = {f"{scale!r}": f"small forms at {scale:g} times the MACs" for scale in others}
    return (ChoiceAxis("form width", {"": "", **labels}),), {}


def _other_schedule(
    entries: Sequence[Entry], selection: Selection, row_set: RowSet
) -> tuple[tuple[ChoiceAxis, ...], dict[str, str]]:
    """Return the axis of schedules: a long one stopped at the target, or a short annealed one."""
    own = row_set.group.estimand
    other: Estimand = "anytime" if own == "budgeted" else "budgeted"
    try:
        found = fit_rows(entries, replace(selection, estimand=other))
    except UserError:
        return (), {"schedule length": f"this ledger has no {other} runs to the same target"}
    if len(found.rows) < LEAST_ROWS:
        return (), {"schedule length": f"this ledger has fewer than three {other} rows"}
    labels = {
        "anytime": "long schedules, stopped at the target (anytime)",
        "budgeted": "short schedules, annealed to their end (budgeted)",
    }
    return (ChoiceAxis("schedule", {own: "", other: labels[other]}),), {}


def _target_error(entries: Sequence[Entry], row_set: RowSet) -> float | None:
    """Return the standard error of a target that baseline seeds set; None: not known."""
    if row_set.target.source != "baseline":
        return None
    finals = baseline_finals(entries, row_set.group.data_digest or None, row_set.group.metric)
    return standard_error([finals[r] for r in row_set.target.baseline_run_ids if r in finals])


def _at_level(target: Target, level: str, error: float | None) -> Target:
    tolerance = {"strict": 0.0, "rounded": HALF_A_PRINTED_DIGIT}.get(level, target.tolerance)
    value = target.value + ERRORS.get(level, 0.0) * (error or 0.0)
    return target.model_copy(update={"value": value, "tolerance": tolerance})


def _by_id(rows: Sequence[FitRow]) -> dict[str, FitRow]:
    return {row.run_ids[0]: row for row in rows}


def _doubled(row_set: RowSet) -> RowSet:
    """Return the rows with every compute doubled; the slope does not change."""
    rows = tuple(
        replace(
            row,
            compute=2 * row.compute if row.compute else None,
            compute_at_least=2 * row.compute_at_least,
            compute_at_most=2 * row.compute_at_most if row.compute_at_most else None,
            seed_computes={run_id: 2 * c for run_id, c in row.seed_computes.items()},
            missed_computes={run_id: 2 * c for run_id, c in row.missed_computes.items()},
            ladders={seed: own.scaled(2) for seed, own in row.ladders.items()},
        )
        for row in row_set.rows
    )
    return replace(row_set, rows=rows)
