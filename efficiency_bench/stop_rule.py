"""The stop rule: when a sequence of evaluations counts as having arrived.

The trainer asks it after every evaluation, the crossing estimator asks it afterwards, so both
give the same answer.  No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from efficiency_bench.config import EvaluationConfig
from efficiency_bench.records import Metric, Target

TOP5_FROM_CLASSES = 100
"""With fewer classes top-5 says little (AlexNet passes 97 % of ten classes at once)."""


def metric_for(asked: str | None, classes: int) -> Metric:
    """The metric asked for, else top-5 from 100 classes on and top-1 below."""
    if asked is None:
        return "top5" if classes >= TOP5_FROM_CLASSES else "top1"
    return "top5" if asked == "top5" else "top1"


def metric_of_start(start: Mapping[str, Any]) -> Metric:
    """The metric of a run, from the ``start`` event of its log."""
    target = start["target"]  # None: a baseline, which sets its own level
    if target is not None:
        return metric_for(target["metric"], start["classes"])
    return metric_for(start["config"]["target"]["metric"], start["classes"])


def chance_level(metric: Metric, classes: int) -> float:
    """Accuracy of guessing among ``classes`` equally frequent ones, a fraction."""
    return min(1.0, (1 if metric == "top1" else 5) / classes)


CHANCE_STANDARD_ERRORS = 3.0
"""How far above guessing a target must lie, in binomial standard errors of one evaluation; our
choice.  Guessing passes it in one evaluation of 740; three in a row confirm an arrival.  A baseline
is held to ten (ledger/baseline.py), since every other run is held to it."""


def least_target(metric: Metric, classes: int, val_images: int) -> float:
    """The accuracy that a target must lie above: chance plus three standard errors, a fraction.

    Chance ``c`` is 1/classes for top-1 and 5/classes for top-5, its standard error
    ``sqrt(c (1 - c) / val_images)``.
    """
    chance = chance_level(metric, classes)
    return chance + CHANCE_STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / val_images)


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


NOISE = 2.0
"""Binomial standard errors of an evaluation by which the next may be higher on a flat curve."""

Curve = Sequence[tuple[float, float]]
"""Evaluations in order: epochs (steps over steps an epoch), accuracy (a fraction)."""


def evaluations_per_epoch(
    cadence: EvaluationConfig, target: Target | None, curve: Curve, chance: float, val_images: int
) -> int:
    """Evaluations an epoch after those of ``curve``, on ``val_images`` images.

    The fine cadence holds where the target may be met before the next evaluation of the coarse
    one: where the accuracy would, once it has risen as much again as since the evaluation a
    coarse interval ago, or by the noise of an evaluation.  The curve begins at ``chance`` (a
    fraction).  A run without a target (a baseline, which ends with its schedule) keeps the
    coarse cadence.
    """
    if target is None or not curve:
        return cadence.per_epoch
    epochs, accuracy = curve[-1]
    before = [a for e, a in curve if epochs - e >= 1 / cadence.per_epoch - 1e-9]
    rise = accuracy - (before[-1] if before else chance)
    noise = NOISE * math.sqrt(accuracy * (1 - accuracy) / val_images)
    soon = accuracy + max(rise, noise) >= target.threshold
    return cadence.per_epoch_near if soon else cadence.per_epoch


def due(step: int, steps_per_epoch: int, per_epoch: int) -> bool:
    """Whether an evaluation follows ``step`` (counted from 1 over the whole run).

    An epoch is cut into ``per_epoch`` parts as equal as whole steps allow; the epoch's last
    step always ends one.  With more evaluations than steps, every step is followed by one.
    """
    return step * per_epoch // steps_per_epoch > (step - 1) * per_epoch // steps_per_epoch
