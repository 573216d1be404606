"""Where a run crossed its target, interpolated between evaluations."""

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
    """The non-decreasing sequence nearest to ``values`` in weighted least squares, as long.

    Neighbours in the wrong order are replaced by their weighted mean until none are left
    (Ayer et al. 1955).  Fractions weighted by their counts give the binomial likelihood's own
    maximum.  ``weights`` are positive and as many as ``values``, else ValueError.
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
            # written as a step from the mean before, so that equal values stay exactly equal
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
    """Accuracy against training: one point an evaluation, in the order of training."""

    x: tuple[float, ...]
    """Training before each evaluation: images or compute, never falling, 0 allowed."""
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
    """A run's evaluations as a curve of the target's metric against training images."""
    return LearningCurve(
        x=tuple(float(e.images) for e in evaluations),
        accuracies=tuple(e.accuracy(target.metric) for e in evaluations),
        val_images=tuple(e.val_images for e in evaluations),
    )


def entry_curve(entry: Entry) -> tuple[LearningCurve, bool]:
    """An entry's curve, and whether it goes to its schedule's end, which confirms what remains.

    An entry does not say whether a run that stopped at its target was also at that end.  It was,
    if its own crossing lacks the confirmations that only a schedule's end replaces.
    """
    curve = learning_curve(entry.target, entry.evaluations)
    confirmed = sustained_index(entry.target, curve.accuracies, schedule_over=False) is not None
    over = entry.end_reason == "schedule" or (entry.end_reason == "target" and not confirmed)
    return curve, over


def first_crossing(target: Target, evaluations: Sequence[Evaluation]) -> float | None:
    """Training images at the first crossing of the target, or None if there is none.

    Between the evaluation before and the first one at or over the target, accuracy is taken
    to grow linearly on the logit scale with the images seen; the result lies after the one
    and no later than the other.  An accuracy of 0 or 1 is moved inwards by half an image.
    Where the very first evaluation is at the target the crossing was missed (left-censored):
    its own images are returned, an upper bound.
    """
    return crossing_of("first", target, learning_curve(target, evaluations), False)


def sustained_crossing(
    target: Target, evaluations: Sequence[Evaluation], schedule_over: bool
) -> float | None:
    """Training images at the first crossing that later evaluations confirm, or None.

    Confirmation is ``target.sustained_index``'s; the interpolation is ``first_crossing``'s.
    """
    return crossing_of("sustained", target, learning_curve(target, evaluations), schedule_over)


def crossing_of(
    kind: CrossingKind, target: Target, curve: LearningCurve, schedule_over: bool
) -> float | None:
    """x at one kind of crossing, in the unit of ``curve.x``, or None if there is none.

    ``isotonic`` is the crossing of the curve made never to fall, weighted by the validation
    images; ``schedule_over`` matters to ``sustained`` alone.
    """
    read, index = located(kind, target, curve, schedule_over)
    return None if index is None else interpolated(target, read, index)


def located(
    kind: CrossingKind, target: Target, curve: LearningCurve, schedule_over: bool
) -> tuple[LearningCurve, int | None]:
    """The curve in which ``kind`` is read, and the evaluation at or over the target there."""
    if kind == "sustained":
        return curve, sustained_index(target, curve.accuracies, schedule_over)
    if kind == "isotonic":
        rising = isotonic(curve.accuracies, curve.val_images)
        curve = replace(curve, accuracies=tuple(float(a) for a in rising))
    return curve, first_index(target, curve.accuracies)


def interpolated(target: Target, curve: LearningCurve, index: int) -> float:
    """x at which the curve meets the target between evaluation ``index`` and the one before."""
    at = curve.x[index]
    if index == 0:
        return at
    # The one before is always under the target: were it not, it would itself be the first,
    # and it would itself be sustained, since everything that confirms this one follows it.
    before = curve.x[index - 1]
    low = _logit(curve.accuracies[index - 1], curve.val_images[index - 1])
    high = _logit(curve.accuracies[index], curve.val_images[index])
    threshold = _logit(target.threshold, curve.val_images[index])
    if high <= low:  # only where the move inwards made them one
        return at
    fraction = min(max((threshold - low) / (high - low), 0.0), 1.0)
    x = before + fraction * (at - before)
    return min(max(x, math.nextafter(before, math.inf)), at)


def _logit(accuracy: float, val_images: int) -> float:
    """Log odds of an accuracy, which is kept half an image away from 0 and 1."""
    margin = 0.5 / val_images
    p = min(max(accuracy, margin), 1 - margin)
    return math.log(p / (1 - p))
