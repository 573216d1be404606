"""The stop rule: decide whether a sequence of evaluations has reached its target.

The trainer applies it after every evaluation and the crossing estimator applies it afterwards, so
both give the same answer.  No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from efficiency_bench.records import Entry, Metric, Target

if TYPE_CHECKING:
    from efficiency_bench.config import EvaluationConfig  # with OmegaConf, which no fit needs

TOP5_FROM_CLASSES = 100
"""With fewer classes, top-5 is uninformative (on ten classes, AlexNet soon passes 97 %)."""


def metric_for(asked: str | None, classes: int) -> Metric:
    """Return the requested metric, or by default top-5 from 100 classes up and top-1 below."""
    if asked is None:
        return "top5" if classes >= TOP5_FROM_CLASSES else "top1"
    return "top5" if asked == "top5" else "top1"


def metric_of_start(start: Mapping[str, Any]) -> Metric:
    """Return the metric of a run, from the ``start`` event of its log."""
    target = start["target"]  # None: a baseline, which sets its own level
    if target is not None:
        return metric_for(target["metric"], start["classes"])
    return metric_for(start["config"]["target"]["metric"], start["classes"])


def metric_of_entry(entry: Entry) -> Metric:
    """Return the metric of a run's target; without one, the configured metric or its default."""
    if entry.target is not None:
        return entry.target.metric
    asked = entry.config.get("target")
    named = asked.get("metric") if isinstance(asked, Mapping) else None
    return metric_for(named if isinstance(named, str) else None, entry.classes or 0)


def final_accuracy(entry: Entry, metric: Metric) -> float:
    """Return the final accuracy, a fraction; chance level for a run that diverged or has none."""
    if entry.end_reason == "diverged" or not entry.evaluations:
        return chance_level(metric, entry.classes) if entry.classes else 0.0
    return entry.evaluations[-1].accuracy(metric)


def chance_level(metric: Metric, classes: int) -> float:
    """Return the accuracy of random guessing among ``classes`` balanced classes, a fraction."""
    return min(1.0, (1 if metric == "top1" else 5) / classes)


CHANCE_STANDARD_ERRORS = 3.0
"""How far above chance a target must be, in binomial standard errors of one evaluation; our choice.
Random guessing passes it in one of 740 evaluations; three in a row confirm a crossing.  A baseline
needs ten (ledger/baseline.py), since it sets the target of every other run."""


def least_target(metric: Metric, classes: int, val_images: int) -> float:
    """Return the accuracy that a target must exceed: chance plus three standard errors, a fraction.

    Chance ``c`` is 1/classes for top-1 and 5/classes for top-5, its standard error
    ``sqrt(c (1 - c) / val_images)``.
    """
    chance = chance_level(metric, classes)
    return chance + CHANCE_STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / val_images)


def better_than_guessing(entry: Entry, metric: Metric) -> bool:
    """Return whether the final accuracy exceeds ``least_target``; true if that is not known."""
    if not entry.classes:
        return True
    final = final_accuracy(entry, metric)
    if not entry.evaluations:
        return final > chance_level(metric, entry.classes)
    return final > least_target(metric, entry.classes, entry.evaluations[-1].val_images)


def first_index(target: Target, accuracies: Sequence[float]) -> int | None:
    """Return the index of the first evaluation at or above the target, or None."""
    return next((i for i, a in enumerate(accuracies) if target.met_by(a)), None)


def sustained_index(target: Target, accuracies: Sequence[float], schedule_over: bool) -> int | None:
    """Return the index of the first evaluation at or above the target that later ones confirm.

    ``accuracies`` are fractions in the order of the evaluations.  An evaluation is confirmed if the
    next ``target.confirmations`` evaluations all meet the target, or, once ``schedule_over``, if
    all that remain do (none need remain: the final evaluation confirms itself).
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
"""How much higher the next evaluation may be on a flat curve, in binomial standard errors."""

Curve = Sequence[tuple[float, float]]
"""Evaluations in order: epochs (steps over steps per epoch), accuracy (a fraction)."""


def evaluations_per_epoch(
    cadence: EvaluationConfig, target: Target | None, curve: Curve, chance: float, val_images: int
) -> int:
    """Return the number of evaluations per epoch to use after those of ``curve``.

    The fine cadence applies once the target may be met before the next coarse evaluation: if the
    last accuracy would meet it after rising once more by as much as over the last coarse interval,
    or by the noise of an evaluation on ``val_images`` images.  The curve begins at ``chance`` (a
    fraction).  A run without a target (a baseline, which trains its whole schedule) keeps the
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
    """Return whether an evaluation follows ``step`` (counted from 1 over the whole run).

    An epoch is split into ``per_epoch`` parts as equal as whole steps allow, with an evaluation
    after each part, so one always follows the last step.  With more evaluations than steps, one
    follows every step.
    """
    return step * per_epoch // steps_per_epoch > (step - 1) * per_epoch // steps_per_epoch
