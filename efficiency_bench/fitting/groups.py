"""Which entries may stand in one fit: one data set, one target, one estimand, one tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from efficiency_bench.errors import UserError
from efficiency_bench.records import Entry, Estimand, Metric, Tier

TARGET_PRINTED_DIGITS = 6
"""Decimals of a target value in messages; a named target is matched to these."""


@dataclass(frozen=True)
class Selection:
    """What the user asked for; None leaves it open."""

    data: str | None = None
    """Plain data name, or the beginning of a data digest."""
    target: float | None = None
    """Accuracy, a fraction."""
    estimand: Estimand | None = None
    """None: anytime, or budgeted where the ledger has nothing else to choose."""
    tier: Tier | None = None
    until: date | None = None
    """Rows published after this day are left out: what could have been fitted then."""

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
    """Empty where the source names its data only (published rows)."""
    metric: Metric
    target_value: float
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


def select(
    entries: Sequence[Entry], selection: Selection
) -> tuple[Group, list[Entry], list[Entry]]:
    """The one group that ``selection`` leaves, its entries, and the baselines beside it.

    Baselines are the runs that set their own target on the same data, metric and tier;
    which of them belong to the group is for the caller to judge.  Raises UserError where no group
    is left or several are, with what to type.
    """
    groups = _gathered(entries)
    left = [group for group in sorted(groups) if _admits(selection, group)]
    if selection.estimand is None:  # the default
        left = [group for group in left if group.estimand == "anytime"] or left
    if len(left) == 1:
        chosen = left[0]
        return chosen, groups[chosen], [e for e in entries if _is_beside(e, chosen)]
    if left:
        listed = "".join(f"\n  {group.options()}  ({len(groups[group])} runs)" for group in left)
        raise UserError(f"several data sets or targets are in this ledger; name one:{listed}")
    raise UserError(_nothing_left(entries, groups))


def comparable_sets(entries: Sequence[Entry]) -> dict[Group, list[Entry]]:
    """Every group of a ledger, each with its entries and the baselines beside it.

    ``select`` leaves exactly that group where it is given these entries alone.
    """
    return {
        group: [*members, *(entry for entry in entries if _is_beside(entry, group))]
        for group, members in sorted(_gathered(entries).items())
    }


def _gathered(entries: Sequence[Entry]) -> dict[Group, list[Entry]]:
    groups: dict[Group, list[Entry]] = {}
    for entry in entries:
        if entry.target is not None and not entry.sets_target:
            groups.setdefault(_group(entry), []).append(entry)
    return groups


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
