"""Locate where a run crossed its target, by interpolation between evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from efficiency_bench.records import Entry, Evaluation, Target
from efficiency_bench.stop_rule import first_index, sustained_index


def isotonic(values: Sequence[float], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return the weighted isotonic fit: the non-decreasing sequence closest to ``values``.

    Pool adjacent violators: neighbours in the wrong order are replaced by their weighted mean until
    none are left (Ayer et al. 1955).  For fractions weighted by their counts, the fit is also the
    binomial maximum likelihood estimate.  Raises ValueError unless every value has one positive
    weight.
    """
    if len(values) != len(weights) or any(weight <= 0 for weight in weights):
        raise ValueError("every value needs one positive weight")
    means: list[float] = []
    masses: list[float] = []
    lengths: list[int] = []
    for value, weight in zip(values, weights, strict=True):
        mean, mass, length = float(value), float(weight), 1
        while means and means[-1] >= mean:
            before = masses.pop()
            # an increment on the previous mean, so that equal values stay exactly equal
            mean = means[-1] + (mean - means.pop()) * (mass / (before + mass))
            mass += before
            length += lengths.pop()
        means.append(mean)
        masses.append(mass)
        lengths.append(length)
    return np.repeat(means, lengths)


CrossingKind = Literal["first", "sustained", "isotonic"]


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy against training: one point per evaluation, in training order."""

    x: tuple[float, ...]
    """Training before each evaluation: images or compute, non-decreasing, may start at 0."""
    accuracies: tuple[float, ...]
    """Fractions."""
    val_images: tuple[int, ...]
    """Validation images behind each accuracy."""

    def __post_init__(self) -> None:
        if not len(self.x) == len(self.accuracies) == len(self.val_images):
            raise ValueError("a learning curve needs x, accuracy and image count at every point")
        if any(after < before for before, after in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("the evaluations of a learning curve must be in training order")


def learning_curve(target: Target, evaluations: Sequence[Evaluation]) -> LearningCurve:
    """Return a run's learning curve: the target's metric against training images."""
    return LearningCurve(
        x=tuple(float(e.images) for e in evaluations),
        accuracies=tuple(e.accuracy(target.metric) for e in evaluations),
        val_images=tuple(e.val_images for e in evaluations),
    )


def entry_curve(entry: Entry) -> tuple[LearningCurve, bool]:
    """Return an entry's curve and whether its schedule was over, which confirms the last points.

    An entry does not say whether a run that stopped at its target had also finished its schedule.
    It had if its crossing lacks confirmations, since only the end of the schedule replaces them.
    """
    target = entry.known_target
    curve = learning_curve(target, entry.evaluations)
    confirmed = sustained_index(target, curve.accuracies, schedule_over=False) is not None
    over = entry.end_reason == "schedule" or (entry.end_reason == "target" and not confirmed)
    return curve, over


def first_crossing(target: Target, evaluations: Sequence[Evaluation]) -> float | None:
    """Return the training images at the first crossing of the target, or None.

    Between the first evaluation at or above the target and the one before it, accuracy is
    interpolated linearly in images on the logit scale; the result lies after the earlier evaluation
    and no later than the later one.  An accuracy of 0 or 1 is moved inwards by half an image.  If
    the very first evaluation meets the target, the crossing is left-censored: its own images are
    returned, an upper bound.
    """
    return crossing_of("first", target, learning_curve(target, evaluations), False)


def sustained_crossing(
    target: Target, evaluations: Sequence[Evaluation], schedule_over: bool
) -> float | None:
    """Return the training images at the first crossing that later evaluations confirm, or None.

    ``stop_rule.sustained_index`` defines confirmation; interpolation is as in ``first_crossing``.
    """
    return crossing_of("sustained", target, learning_curve(target, evaluations), schedule_over)


def crossing_of(
    kind: CrossingKind, target: Target, curve: LearningCurve, schedule_over: bool
) -> float | None:
    """Return x at one kind of crossing, in the unit of ``curve.x``, or None if there is none.

    ``isotonic`` is the crossing of the isotonic fit, weighted by validation images;
    ``schedule_over`` affects only ``sustained``.
    """
    read, index = located(kind, target, curve, schedule_over)
    return None if index is None else interpolated(target, read, index)


def located(
    kind: CrossingKind, target: Target, curve: LearningCurve, schedule_over: bool
) -> tuple[LearningCurve, int | None]:
    """Return the curve that ``kind`` uses, and the index of its crossing evaluation or None."""
    if kind == "sustained":
        return curve, sustained_index(target, curve.accuracies, schedule_over)
    if kind == "isotonic":
        rising = isotonic(curve.accuracies, curve.val_images)
        curve = replace(curve, accuracies=tuple(float(a) for a in rising))
    return curve, first_index(target, curve.accuracies)


def interpolated(target: Target, curve: LearningCurve, index: int) -> float:
    """Return x where the curve meets the target between evaluation ``index`` and the one before."""
    at = curve.x[index]
    if index == 0:
        return at
    # The previous evaluation is always below the target. Otherwise it would itself be the first
    # crossing, and also sustained: everything that confirms this one follows it too.
    before = curve.x[index - 1]
    low = _log_odds(curve.accuracies[index - 1], curve.val_images[index - 1])
    high = _log_odds(curve.accuracies[index], curve.val_images[index])
    threshold = _log_odds(target.threshold, curve.val_images[index])
    if high <= low:  # only if moving both inwards made them equal
        return at
    fraction = min(max((threshold - low) / (high - low), 0.0), 1.0)
    x = before + fraction * (at - before)
    return min(max(x, math.nextafter(before, math.inf)), at)


def _log_odds(accuracy: float, val_images: int) -> float:
    """Return the log odds of an accuracy, kept half an image away from 0 and 1."""
    margin = 0.5 / val_images
    p = min(max(accuracy, margin), 1 - margin)
    return math.log(p / (1 - p))
