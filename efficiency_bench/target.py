"""The stop rule: when a sequence of evaluations counts as having arrived.

The trainer asks it after every evaluation, the crossing estimator asks it afterwards, so both
give the same answer.  No torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from efficiency_bench.records import Metric, Target


def chance_level(metric: Metric, classes: int) -> float:
    """Accuracy of guessing among ``classes`` equally frequent ones, a fraction."""
    return min(1.0, (1 if metric == "top1" else 5) / classes)


def first_index(target: Target, accuracies: Sequence[float]) -> int | None:
    """Index of the first evaluation at or over the target, or None."""
    return next((i for i, a in enumerate(accuracies) if target.met_by(a)), None)


def sustained_index(target: Target, accuracies: Sequence[float], schedule_over: bool) -> int | None:
    """Index of the first evaluation at or over the target that further ones confirm.

    ``accuracies`` are fractions in the order of the evaluations.  An evaluation is confirmed
    when the next ``target.confirmations`` all hold, or, once ``schedule_over``, when all that
    remain hold (none need remain: the final evaluation confirms itself).
    """
    for i, accuracy in enumerate(accuracies):
        if not target.met_by(accuracy):
            continue
        following = accuracies[i + 1 : i + 1 + target.confirmations]
        enough = len(following) == target.confirmations or schedule_over
        if enough and all(map(target.met_by, following)):
            return i
    return None
