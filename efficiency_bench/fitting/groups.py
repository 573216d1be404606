"""Groups of comparable entries: one data set, one target, one estimand, one tier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Literal, NamedTuple

from efficiency_bench.errors import UserError
from efficiency_bench.identity import SCHEDULE_LENGTH, row_key
from efficiency_bench.ledger.baseline import baseline_finals
from efficiency_bench.records import Entry, Estimand, Metric, Tier
from efficiency_bench.stop_rule import metric_of_entry

TARGET_PRINTED_DIGITS = 6
"""Decimals of a target value in messages; ``--target`` is compared to this precision."""

LEAST_LADDERS, LEAST_RUNGS = 3, 2
"""Budgeted runs are the default if at least so many rows have at least so many rungs."""

Axis = Literal["architecture", "recipe"]


@dataclass(frozen=True)
class Selection:
    """The user's choice of rows; None: not restricted."""

    data: str | None = None
    """Name of the data, or the first digits of its digest."""
    target: float | None = None
    """Accuracy, a fraction.  It selects runs that stop at this target; budgeted runs can be read at
    any level."""
    estimand: Estimand | None = None
    """None: budgeted if at least three rows of the ledger are ladders, else anytime."""
    tier: Tier | None = None
    until: date | None = None
    """Rows published after this day are left out, to repeat what a fit on that day would show."""
    axis: Axis | None = None
    """What varies between rows; None: both the architecture and the recipe."""
    recipe: str | None = None
    """The one recipe of the architecture axis."""
    model: str | None = None
    """The one model of the recipe axis."""
    scale: float | None = None
    """``model.scale`` of the rows; None: the baseline's."""

    def admits_date_of(self, entry: Entry) -> bool:
        """Return whether the entry was published by ``until``, or has no date."""
        if self.until is None or entry.date is None:
            return True
        return date.fromisoformat(entry.date) <= self.until


@dataclass(frozen=True, order=True)
class Group:
    """The properties that all rows of a fit share."""

    data: str
    data_digest: str
    """Empty if the source gives only the name of its data (published rows)."""
    metric: Metric
    target_value: float
    """0 for budgeted runs if neither a baseline nor ``--target`` sets the level."""
    estimand: Estimand
    tier: Tier

    @property
    def has_level(self) -> bool:
        """Whether an accuracy is known at which the runs are read."""
        return self.estimand == "anytime" or 0 < self.target_value < 1

    @property
    def target_text(self) -> str:
        """Metric and value, such as ``top5 >= 0.791``."""
        return f"{self.metric} >= {_number(self.target_value)}"

    def options(self) -> str:
        """Return the command-line options that select this group."""
        data = self.data_digest[:12] or self.data
        value = _number(self.target_value)
        return f"--data {data} --target {value} --estimand {self.estimand} --tier {self.tier}"

    def options_among(self, groups: Sequence[Group]) -> str:
        """Return as few options as select this group among ``groups``."""
        mine, others = self._words(), [group._words() for group in groups if group != self]
        for count in range(1, len(mine) + 1):
            for words in combinations(mine, count):
                if not any(set(words) <= set(other) for other in others):
                    return " ".join(words)
        return self.options()

    def _words(self) -> tuple[str, ...]:
        value = _number(self.target_value)
        return (
            f"--data {self.data}",
            f"--target {value}",
            f"--estimand {self.estimand}",
            f"--tier {self.tier}",
        )


class Chosen(NamedTuple):
    """The group of a fit, its runs, and the baselines on the same data."""

    group: Group
    members: list[Entry]
    baselines: list[Entry]


def select(entries: Sequence[Entry], selection: Selection) -> Chosen:
    """Return the one group that matches ``selection``, its entries and the baselines on its data.

    Baselines are runs that set their own target with the same data, metric and tier; the caller
    decides which of them belong to the group.  Raises UserError, with the options to type, unless
    exactly one group matches.
    """
    groups = _gathered(entries, selection.target)
    left = [group for group in sorted(groups) if _admits(selection, group)]
    if selection.estimand is None:
        ladders = [group for group in left if _has_ladders(group, groups[group])]
        left = ladders or [group for group in left if group.estimand == "anytime"] or left
    if len(left) == 1:
        chosen = left[0]
        return Chosen(chosen, groups[chosen], [e for e in entries if _is_baseline_of(e, chosen)])
    if left:
        listed = "".join(
            f"\n  {group.options_among(left)}  ({len(groups[group])} runs)" for group in left
        )
        raise UserError(f"this ledger has several data sets or targets; choose one:{listed}")
    raise UserError(_nothing_left(entries, groups))


def comparable_sets(entries: Sequence[Entry]) -> dict[Group, list[Entry]]:
    """Return every group of a ledger with its entries and the baselines on the same data.

    Given these entries alone, ``select`` returns exactly that group.
    """
    return {
        group: [*members, *(entry for entry in entries if _is_baseline_of(entry, group))]
        for group, members in sorted(_gathered(entries, None).items())
    }


def _gathered(entries: Sequence[Entry], level: float | None) -> dict[Group, list[Entry]]:
    """Return group -> runs; budgeted runs are read at ``level``, if it is given."""
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
    """Return the baseline's mean final accuracy, else the target that all runs share, else 0."""
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


def _is_baseline_of(entry: Entry, group: Group) -> bool:
    # a run that set its own target completed its schedule, so it belongs to either estimand
    return entry.sets_target and (
        (entry.data, entry.data_digest or "", entry.known_target.metric, entry.tier)
        == (group.data, group.data_digest, group.metric, group.tier)
    )


def _nothing_left(entries: Sequence[Entry], groups: dict[Group, list[Entry]]) -> str:
    if groups:
        listed = "".join(f"\n  {group.options()}" for group in sorted(groups))
        return f"no run matches these options; this ledger has:{listed}"
    if entries:
        return (
            "a fit needs at least 3 rows; this ledger has only baseline runs\n"
            "measure more: efficiency-bench train experiment=resnet18 data=digits"
        )
    return (
        "a fit needs at least 3 rows; this ledger is empty\n"
        "measure: efficiency-bench train experiment=alexnet data=digits; "
        "or fit the published rows: efficiency-bench fit published"
    )


def _number(value: float) -> str:
    return f"{value:.{TARGET_PRINTED_DIGITS}f}".rstrip("0").rstrip(".")
