"""Orders the runs of a sweep by value for money, and says how many a budget pays for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from efficiency_bench.errors import UserError

Unit = Literal["usd", "gpu-hours"]

RULE = (
    "AlexNet first, since every row is compared with it; then one run of each row expected on the"
    " frontier, each time the one that spreads the dates most per hour, because the standard error"
    " of the halving time is proportional to one over the root of that spread; then the rows off"
    " the frontier, cheapest first; then second seeds in the same way, and so on. The list ends at"
    " the first run that does not fit"
)


@dataclass(frozen=True)
class Budget:
    """An amount of dollars or GPU-hours."""

    amount: float
    unit: Unit


@dataclass(frozen=True)
class Candidate:
    """What the ordering needs to know about one run of the sweep."""

    row: str
    """Runs with the same value are seeds of one row of the fit."""
    is_first: bool
    """Whether it uses the baseline's network and recipe."""
    day: int
    """The row's date as a day number."""
    compute: float
    """To the target, in any unit."""
    hours: float


def parse_budget(text: str) -> Budget:
    """``500usd`` or ``200gpu-hours``; UserError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(usd|gpu-hours)", text.strip().lower())
    if found is None or float(found[1]) == float("inf"):
        raise UserError(f"--budget {text!r} is not a budget; type 500usd or 200gpu-hours")
    unit: Unit = "usd" if found[2] == "usd" else "gpu-hours"
    return Budget(float(found[1]), unit)


def order(candidates: Sequence[Candidate]) -> list[int]:
    """Indices of the candidates in the order of ``RULE``."""
    frontier = _frontier(candidates)
    left = sorted(range(len(candidates)), key=lambda i: (not candidates[i].is_first, i))
    ordered = [i for i in left if candidates[i].is_first]
    left = left[len(ordered) :]
    while left:
        taken = [candidates[i] for i in ordered]
        best = min(left, key=lambda i: _rank(candidates[i], taken, frontier))
        left.remove(best)
        ordered.append(best)
    return ordered


def runs_bought(costs: Sequence[float], budget: float) -> int:
    """How many of the first runs, with these ``costs``, the budget pays for."""
    spent = 0.0
    for count, cost in enumerate(costs):
        spent += cost
        if spent > budget:
            return count
    return len(costs)


def _rank(
    candidate: Candidate, taken: Sequence[Candidate], frontier: set[str]
) -> tuple[int, bool, float]:
    """Sort key: fewer seeds taken first, then the frontier, then more date spread per hour."""
    seeds = sum(other.row == candidate.row for other in taken)
    if candidate.row not in frontier:
        return seeds, True, candidate.hours
    return seeds, False, -_spread_gained(candidate, taken) / candidate.hours


def _spread_gained(candidate: Candidate, taken: Sequence[Candidate]) -> float:
    """The increase of the dates' sum of squares about their mean, in square days.

    Adding a date d to n dates of mean m increases it by n / (n + 1) (d - m)^2.
    """
    days = [other.day for other in taken]
    if not days:
        return 0.0
    return len(days) / (len(days) + 1) * (candidate.day - math.fsum(days) / len(days)) ** 2


def _frontier(candidates: Sequence[Candidate]) -> set[str]:
    """Rows that need less compute than every earlier row."""
    rows, best = set(), math.inf
    for candidate in sorted(candidates, key=lambda c: (c.day, c.compute)):
        if candidate.compute < best:
            best = candidate.compute
            rows.add(candidate.row)
    return rows
