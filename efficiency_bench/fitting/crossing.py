"""Where a run crossed its target, interpolated between evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from efficiency_bench.records import Evaluation, Target
from efficiency_bench.target import first_index, sustained_index


def first_crossing(target: Target, evaluations: Sequence[Evaluation]) -> float | None:
    """Training images at the first crossing of the target, or None if there is none.

    Between the evaluation before and the first one at or over the target, accuracy is taken
    to grow linearly on the logit scale with the images seen; the result lies after the one
    and no later than the other.  An accuracy of 0 or 1 is moved inwards by half an image.
    Where the very first evaluation is at the target the crossing was missed (left-censored):
    its own images are returned, an upper bound.
    """
    return _crossing(target, evaluations, first_index(target, _accuracies(target, evaluations)))


def sustained_crossing(
    target: Target, evaluations: Sequence[Evaluation], schedule_over: bool
) -> float | None:
    """Training images at the first crossing that later evaluations confirm, or None.

    Confirmation is ``target.sustained_index``'s; the interpolation is ``first_crossing``'s.
    """
    accuracies = _accuracies(target, evaluations)
    return _crossing(target, evaluations, sustained_index(target, accuracies, schedule_over))


def _accuracies(target: Target, evaluations: Sequence[Evaluation]) -> list[float]:
    return [e.accuracy(target.metric) for e in evaluations]


def _crossing(target: Target, evaluations: Sequence[Evaluation], index: int | None) -> float | None:
    if index is None:
        return None
    at = evaluations[index]
    if index == 0:
        return float(at.images)
    # The one before is always under the target: were it not, it would itself be the first,
    # and it would itself be sustained, since everything that confirms this one follows it.
    before = evaluations[index - 1]
    low = _logit(before.accuracy(target.metric), before.val_images)
    high = _logit(at.accuracy(target.metric), at.val_images)
    threshold = _logit(target.threshold, at.val_images)
    if high <= low:  # only where the move inwards made them one
        return float(at.images)
    fraction = min(max((threshold - low) / (high - low), 0.0), 1.0)
    images = before.images + fraction * (at.images - before.images)
    return min(max(images, math.nextafter(before.images, math.inf)), float(at.images))


def _logit(accuracy: float, val_images: int) -> float:
    """Log odds of an accuracy, which is kept half an image away from 0 and 1."""
    margin = 0.5 / val_images
    p = min(max(accuracy, margin), 1 - margin)
    return math.log(p / (1 - p))
