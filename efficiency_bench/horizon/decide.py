"""Which schedule to train next, or why to stop: the decisions of a horizon search, nothing else.

Rungs are eighths of a doubling around the recipe's own length, numbered from it.  The search
brackets by doublings, bisects on the logarithm, and then adds seeds where they narrow the answer
most.  It holds no state: the trials so far decide, so a search that was killed goes on by asking
again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from efficiency_bench.fitting.horizon import Horizon, Trial, by_rung, horizon, logit, scatter
from efficiency_bench.records import Target

RUNGS_PER_DOUBLING = 8
"""Neighbours are 9 % of epochs apart, less than the answer is asked for."""

DECIDED_LOG2 = 0.32
"""Doublings from one end of the interval to the other under which the search is done: a factor of
1.25.  Rows scatter by 0.35 halvings about the fitted line, so more precision would not show."""

MOST_DOUBLINGS = 5
"""From the recipe's own length to the longest and the shortest schedule tried, a factor of 32."""

LEAST_STEPS = 16
"""No shorter schedule is tried: rungs under it would differ by less than a whole step."""

DIGITS = 4
"""Significant digits of a rung's epochs, so that a command that repeats one can be read."""

Outcomes = Mapping[int, Sequence[float | None]]
"""Rung -> final accuracies by seed, from the first; None: the trial ended by a fault."""


@dataclass(frozen=True)
class Plan:
    """What a search may try."""

    target: Target
    own_epochs: float
    """The recipe's length, rung 0."""
    steps_per_epoch: int
    val_images: int
    seeds: int
    """At most so many a rung."""
    budget_epochs: float | None = None
    """Of all trials together; None: no limit."""

    def epochs(self, rung: int) -> float:
        """The length of a rung's schedule."""
        return float(f"{self.own_epochs * 2 ** (rung / RUNGS_PER_DOUBLING):.{DIGITS}g}")

    @property
    def rungs(self) -> range:
        """All rungs that may be tried."""
        most = MOST_DOUBLINGS * RUNGS_PER_DOUBLING
        doublings = math.log2(LEAST_STEPS / (self.own_epochs * self.steps_per_epoch))
        least = math.ceil(doublings * RUNGS_PER_DOUBLING)
        return range(min(0, max(-most, least)), most + 1)


@dataclass(frozen=True)
class Next:
    """Train this."""

    rung: int
    seed: int
    """Counted from 0 at each rung."""


Reason = Literal["decided", "seeds", "budget", "too long", "too short", "faults"]


@dataclass(frozen=True)
class Done:
    """Nothing is left to train."""

    reason: Reason
    """Why: the interval is narrow; all seeds are used; the budget is; no schedule within reach
    arrives; the shortest one does; trials end by a fault."""

    @property
    def decided(self) -> bool:
        """Whether the answer is as sharp as asked for."""
        return self.reason == "decided"


def trials_of(plan: Plan, outcomes: Outcomes) -> list[Trial]:
    """The trials that came to their end."""
    return [
        Trial(plan.epochs(rung), accuracy, plan.val_images)
        for rung, accuracies in sorted(outcomes.items())
        for accuracy in accuracies
        if accuracy is not None
    ]


def answer(plan: Plan, outcomes: Outcomes) -> Horizon:
    """What the trials so far say."""
    return horizon(plan.target, trials_of(plan, outcomes))


def decide(plan: Plan, outcomes: Outcomes) -> Next | Done:
    """The next trial, or the end of the search."""
    wanted = _wanted(plan, outcomes)
    if isinstance(wanted, Done) or plan.budget_epochs is None:
        return wanted
    spent = math.fsum(plan.epochs(rung) * len(seeds) for rung, seeds in outcomes.items())
    within = spent + plan.epochs(wanted.rung) <= plan.budget_epochs
    return wanted if within else Done("budget")


def _wanted(plan: Plan, outcomes: Outcomes) -> Next | Done:
    if sum(a is None for seeds in outcomes.values() for a in seeds) >= plan.seeds:
        return Done("faults")
    doubtful = _in_doubt(plan, outcomes)
    heights = _heights(plan, outcomes)
    missing = [rung for rung, height in heights.items() if height < 0]
    meeting = [rung for rung, height in heights.items() if height >= 0]
    if not heights:
        return _seed(outcomes, 0)
    if not meeting or not missing:
        return _bracket(plan, outcomes, doubtful, bool(meeting))
    low, high = _neighbours(missing, meeting)
    if answer(plan, outcomes).log2_width <= DECIDED_LOG2:
        return Done("decided")
    for rung in (low, high):
        if rung in doubtful and _left(plan, outcomes, rung):
            return _seed(outcomes, rung)
    if high - low > 1:
        return _seed(outcomes, (low + high) // 2)
    return _sharpen(plan, outcomes, low, high)


def _bracket(plan: Plan, outcomes: Outcomes, doubtful: set[int], arrives: bool) -> Next | Done:
    """The next doubling, longer until one arrives or shorter until one does not."""
    edge = min(outcomes) if arrives else max(outcomes)
    step = -RUNGS_PER_DOUBLING if arrives else RUNGS_PER_DOUBLING
    bound = plan.rungs[0] if arrives else plan.rungs[-1]
    if edge == bound:
        if edge in doubtful and _left(plan, outcomes, edge):
            return _seed(outcomes, edge)
        return Done("too short" if arrives else "too long")
    return _seed(outcomes, max(edge + step, bound) if arrives else min(edge + step, bound))


def _neighbours(missing: Sequence[int], meeting: Sequence[int]) -> tuple[int, int]:
    """The bracket: the shortest rung that meets the target with one that misses below it.

    Where noise has turned two rungs round, the longest that misses under the longest that meets,
    and the next above it that meets: no rung between the two has been told, so one can be asked.
    """
    for high in sorted(meeting):
        below = [rung for rung in missing if rung < high]
        if below and not any(rung > high for rung in missing):
            return max(below), high
    high = max(meeting)
    below = [rung for rung in missing if rung < high]
    if not below:
        return min(meeting) - 1, min(meeting)
    low = max(below)
    return low, min(rung for rung in meeting if rung > low)


def _sharpen(plan: Plan, outcomes: Outcomes, low: int, high: int) -> Next | Done:
    """One more seed at the rung nearest the answer that has one left, the fewest first."""
    found = answer(plan, outcomes).epochs
    centre = (low + high) / 2
    if found is not None:
        centre = math.log2(found / plan.own_epochs) * RUNGS_PER_DOUBLING
    near = [r for r in plan.rungs if abs(r - centre) <= RUNGS_PER_DOUBLING / 2]
    open_ = [rung for rung in near if _left(plan, outcomes, rung)]
    if not open_:
        return Done("seeds")
    best = min(open_, key=lambda r: (len(outcomes.get(r, ())), abs(r - centre)))
    return _seed(outcomes, best)


def _heights(plan: Plan, outcomes: Outcomes) -> dict[int, float]:
    """Rung -> mean logit of its seeds less the target's."""
    goal = logit(plan.target.threshold, plan.val_images)
    found = {}
    for rung, accuracies in outcomes.items():
        heights = [logit(a, plan.val_images) - goal for a in accuracies if a is not None]
        if heights:
            found[rung] = math.fsum(heights) / len(heights)
    return found


def _in_doubt(plan: Plan, outcomes: Outcomes) -> set[int]:
    """Rungs whose seeds so far do not say which side of the target they are on."""
    trials = trials_of(plan, outcomes)
    if not trials:
        return set()
    noise = scatter(plan.target, by_rung(trials))
    return {
        rung
        for rung, height in _heights(plan, outcomes).items()
        if abs(height)
        < noise.quantile * math.sqrt(noise.variance / sum(a is not None for a in outcomes[rung]))
    }


def _left(plan: Plan, outcomes: Outcomes, rung: int) -> bool:
    return len(outcomes.get(rung, ())) < plan.seeds


def _seed(outcomes: Outcomes, rung: int) -> Next:
    return Next(rung, len(outcomes.get(rung, ())))
