"""The choices that runs with learning curves leave open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.rows import Crossing, Currency, FitRow, fit_rows
from efficiency_bench.fitting.sensitivity.curves import Run, rows_at, unpacked
from efficiency_bench.records import Entry, Target

Choice = Mapping[str, str]
"""Axis -> the option taken."""


@dataclass(frozen=True)
class Axis:
    """One choice: its options, the headline's first, each with the words of its row."""

    name: str
    options: Mapping[str, str]
    """Option -> label of the row that departs to it; the headline's own label is not shown."""
    cancels: bool = False
    """Multiplies every row alike, so that nothing follows from it: shown, and not combined."""

    @property
    def headline(self) -> str:
        """The option that the headline takes."""
        return next(iter(self.options))


@dataclass(frozen=True)
class ChoiceSet:
    """What one kind of source lets vary, and its rows under a choice."""

    axes: tuple[Axis, ...]
    rows: Callable[[Choice], Sequence[FitRow]]
    """Rows under the choices of ``axes``; dates, variant and method are left to the table."""
    not_applicable: Mapping[str, str]
    """Choice that does not exist here -> why."""
    headline: str
    """Label of the first row."""
    notes: tuple[str, ...] = ()


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
    """What varies over measured or imported runs, and their rows under a choice."""
    row_set = fit_rows(entries, selection)
    ids = {run_id for row in row_set.rows for run_id in row.run_ids}
    runs = unpacked(entry for entry in entries if entry.run_id in ids)
    axes, missing = _axes(row_set.target, runs)

    @cache
    def rows(currency: Currency, crossing: Crossing, level: str, charge: str) -> list[FitRow]:
        recorded = fit_rows(entries, selection, crossing=crossing, currency=currency).rows
        moved: Mapping[str, FitRow] = {}
        if level != "recorded":
            target = _at_level(row_set.target, level)
            kept = [row for row in recorded if not row.is_baseline]
            moved = _by_id(rows_at(kept, runs, target, crossing, currency).rows)
        if charge == "own crossing":
            target = _at_level(row_set.target, level)
            own = [row for row in recorded if row.is_baseline]
            moved = {**moved, **_by_id(rows_at(own, runs, target, crossing, currency).rows)}
        return [moved.get(row.run_ids[0], row) for row in recorded]

    def chosen(choice: Choice) -> list[FitRow]:
        found = rows(
            cast(Currency, choice["currency"]),
            cast(Crossing, choice["crossing"]),
            choice.get("target", "recorded"),
            choice.get("baseline", "whole schedule"),
        )
        return _doubled(found) if choice["unit"] == "FLOP" else found

    bare = len(ids) - len(runs)
    return ChoiceSet(
        axes,
        chosen,
        {**missing, **NOT_APPLICABLE},
        headline="headline: 3F, sustained crossing, frontier",
        notes=(f"{bare} runs without a curve keep their recorded crossing",) if bare else (),
    )


def _axes(target: Target, runs: Mapping[str, Run]) -> tuple[tuple[Axis, ...], dict[str, str]]:
    """The axes that these runs have, and why others are missing."""
    axes = [
        Axis("currency", {"paper3x": "", "exact": "F + B as it ran, instead of 3F"}),
        Axis("unit", {"MAC": "", "FLOP": "FLOP instead of MAC: all rows x 2"}, cancels=True),
        Axis("crossing", {"sustained": "", "first": "first crossing instead of sustained"}),
    ]
    missing = {}
    if not runs:
        missing["rounded or strict target"] = "no run here has a learning curve"
    elif target.tolerance:
        label = f"strict target: {100 * target.value:.4g} % without tolerance"
        axes.append(Axis("target", {"recorded": "", "strict": label}))
    else:
        label = f"rounded target: {100 * (target.value - HALF_A_PRINTED_DIGIT):.4g} % counts"
        axes.append(Axis("target", {"recorded": "", "rounded": label}))
    if any(run.is_baseline for run in runs.values()):
        label = "AlexNet charged to its own crossing only"
        axes.append(Axis("baseline", {"whole schedule": "", "own crossing": label}))
    else:
        missing["AlexNet charged its whole schedule or its own crossing"] = (
            "no run here set its own target: every network is charged its crossing"
        )
    return tuple(axes), missing


def _at_level(target: Target, level: str) -> Target:
    tolerance = {"recorded": target.tolerance, "strict": 0.0, "rounded": HALF_A_PRINTED_DIGIT}
    return target.model_copy(update={"tolerance": tolerance[level]})


def _by_id(rows: Sequence[FitRow]) -> dict[str, FitRow]:
    return {row.run_ids[0]: row for row in rows}


def _doubled(rows: Sequence[FitRow]) -> list[FitRow]:
    return [replace(row, compute=2 * row.compute) if row.compute else row for row in rows]
