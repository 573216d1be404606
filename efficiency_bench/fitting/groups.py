"""Which entries one fit may hold: one data set, one target, one estimand, one tier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from efficiency_bench.errors import UserError
from efficiency_bench.identity import SCHEDULE_LENGTH, row_key
from efficiency_bench.ledger.baseline import baseline_finals
from efficiency_bench.records import Entry, Estimand, Metric, Tier
from efficiency_bench.stop_rule import metric_of_entry

TARGET_PRINTED_DIGITS = 6
"""Decimals of a target value in messages; a named target is matched to these."""

LEAST_LADDERS, LEAST_RUNGS = 3, 2
"""Rows of at least so many rungs, and so many of them, before budgeted runs are the default."""

Axis = Literal["architecture", "recipe"]


@dataclass(frozen=True)
class Selection:
    """What the user asked for; None leaves it open."""

    data: str | None = None
    """Plain data name, or the beginning of a data digest."""
    target: float | None = None
    """Accuracy, a fraction.  Runs that stop at a target are matched to it; of budgeted runs, any
    level may be asked for."""
    estimand: Estimand | None = None
    """None: budgeted if the ledger has ladders of at least three rows, else anytime."""
    tier: Tier | None = None
    until: date | None = None
    """Rows published after this day are left out: what could have been fitted then."""
    axis: Axis | None = None
    """What varies between rows; None: both architecture and recipe."""
    recipe: str | None = None
    """The one recipe of the architecture axis."""
    model: str | None = None
    """The one model of the recipe axis."""
    scale: float | None = None
    """``model.scale`` of the rows; None: the baseline's."""

    def knows(self, entry: Entry) -> bool:
        """Whether the entry's row was published by then; a row without a date always was."""
        if self.until is None or entry.date is None:
            return True
        return date.fromisoformat(entry.date) <= self.until


@dataclass(frozen=True, order=True)
class Group:
    """What all rows of a fit share."""

    data: str
    data_digest: str
    """Empty if the source names its data only (published rows)."""
    metric: Metric
    target_value: float
    """0 for budgeted runs of which neither a baseline nor a named target sets the level."""
    estimand: Estimand
    tier: Tier

    @property
    def target_text(self) -> str:
        """Metric and value, as in ``top5 >= 0.791``."""
        return f"{self.metric} >= {_number(self.target_value)}"

    def options(self) -> str:
        """The options that name this group on the command line."""
        data = self.data_digest[:12] or self.data
        value = _number(self.target_value)
        return f"--data {data} --target {value} --estimand {self.estimand} --tier {self.tier}"


class Chosen(NamedTuple):
    """The one group of a fit, its runs, and the baselines on the same data."""

    group: Group
    members: list[Entry]
    beside: list[Entry]


def select(entries: Sequence[Entry], selection: Selection) -> Chosen:
    """The one group that ``selection`` leaves, its entries, and the baselines on the same data.

    Baselines are the runs that set their own target on the same data, metric and tier; which of
    them belong to the group is for the caller to decide.  Raises UserError if no group is left or
    several are, with what to type.
    """
    groups = _gathered(entries, selection.target)
    left = [group for group in sorted(groups) if _admits(selection, group)]
    if selection.estimand is None:
        ladders = [group for group in left if _has_ladders(group, groups[group])]
        left = ladders or [group for group in left if group.estimand == "anytime"] or left
    if len(left) == 1:
        chosen = left[0]
        return Chosen(chosen, groups[chosen], [e for e in entries if _is_beside(e, chosen)])
    if left:
        listed = "".join(f"\n  {group.options()}  ({len(groups[group])} runs)" for group in left)
        raise UserError(f"several data sets or targets are in this ledger; name one:{listed}")
    raise UserError(_nothing_left(entries, groups))


def comparable_sets(entries: Sequence[Entry]) -> dict[Group, list[Entry]]:
    """Every group of a ledger, each with its entries and the baselines on the same data.

    ``select`` leaves exactly that group if it is given these entries alone.
    """
    return {
        group: [*members, *(entry for entry in entries if _is_beside(entry, group))]
        for group, members in sorted(_gathered(entries, None).items())
    }


def _gathered(entries: Sequence[Entry], level: float | None) -> dict[Group, list[Entry]]:
    """Runs by group; ``level``: the accuracy asked for, which budgeted runs are read at."""
    groups: dict[Group, list[Entry]] = {}
    budgeted: dict[tuple[str, str, Metric, Tier], list[Entry]] = {}
    for entry in entries:
        if entry.estimand == "budgeted":
            key = (entry.data, entry.data_digest or "", metric_of_entry(entry), entry.tier)
            budgeted.setdefault(key, []).append(entry)
        elif not entry.sets_target:
            groups.setdefault(_group(entry), []).append(entry)
    for (data, digest, metric, tier), runs in budgeted.items():
        value = level if level is not None else _level(entries, runs, digest, metric)
        groups[Group(data, digest, metric, value, "budgeted", tier)] = runs
    return groups


def _level(entries: Sequence[Entry], runs: Sequence[Entry], digest: str, metric: Metric) -> float:
    """The baseline's mean final accuracy; without one, the target that all runs share; else 0."""
    if finals := baseline_finals(entries, digest, metric):
        return math.fsum(finals.values()) / len(finals)
    targets = {entry.target.value for entry in runs if entry.target is not None}
    return targets.pop() if len(targets) == 1 else 0.0


def _has_ladders(group: Group, runs: Sequence[Entry]) -> bool:
    if group.estimand != "budgeted":
        return False
    rungs: dict[object, set[float | None]] = {}
    for entry in runs:
        rungs.setdefault(row_key(entry, SCHEDULE_LENGTH), set()).add(entry.budget_asked)
    return sum(len(budgets) >= LEAST_RUNGS for budgets in rungs.values()) >= LEAST_LADDERS


def _group(entry: Entry) -> Group:
    return Group(
        data=entry.data,
        data_digest=entry.data_digest or "",
        metric=entry.known_target.metric,
        target_value=entry.known_target.value,
        estimand=entry.estimand,
        tier=entry.tier,
    )


def _admits(selection: Selection, group: Group) -> bool:
    data, value = selection.data, selection.target
    half_digit = 0.5 * 10**-TARGET_PRINTED_DIGITS
    return (
        (data is None or data == group.data or group.data_digest.startswith(data))
        and (value is None or abs(value - group.target_value) <= half_digit)
        and selection.estimand in (None, group.estimand)
        and selection.tier in (None, group.tier)
    )


def _is_beside(entry: Entry, group: Group) -> bool:
    # a run that set its own target was trained to its schedule's end: it is of either estimand
    return entry.sets_target and (
        (entry.data, entry.data_digest or "", entry.known_target.metric, entry.tier)
        == (group.data, group.data_digest, group.metric, group.tier)
    )


def _nothing_left(entries: Sequence[Entry], groups: dict[Group, list[Entry]]) -> str:
    if groups:
        listed = "".join(f"\n  {group.options()}" for group in sorted(groups))
        return f"no run matches what was named; the ledger has:{listed}"
    if entries:
        return (
            "a fit needs at least 3 rows; this ledger has baseline runs only\n"
            "measure more: efficiency-bench train experiment=resnet18 data=digits"
        )
    return (
        "a fit needs at least 3 rows; this ledger is empty\n"
        "measure: efficiency-bench train experiment=alexnet data=digits; "
        "or fit the published rows: efficiency-bench fit published"
    )


def _number(value: float) -> str:
    return f"{value:.{TARGET_PRINTED_DIGITS}f}".rstrip("0").rstrip(".")
