"""Recount a run from its configuration in plain arithmetic: steps, images, segments.

Written independently of the trainer on purpose, so that a bug in one of the two shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from efficiency_bench.records import Segment, Target
from efficiency_bench.verify.evidence import Evidence

LONGEST_EPOCHS = 100_000
"""No schedule is longer; an edited log cannot make the recount run for days."""

MACS = ("forward_macs", "first_layer_macs", "backward_macs")
"""The MAC counts of a log that a segment records."""


@dataclass(frozen=True)
class StepPlan:
    """Everything about any step that follows from the configuration and the data sizes."""

    config: Mapping[str, Any]
    train_images: int
    val_images: int
    classes: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch: the last may be partial; a remainder of 1 joins the batch before."""
        size = self.config["recipe"]["batch_size"]
        whole, rest = divmod(self.train_images, size)
        joined = rest == 0 or (rest == 1 and size > 1 and whole > 0)
        return int(whole if joined else whole + 1)

    @property
    def total_steps(self) -> int:
        """Steps of the whole schedule."""
        return max(1, round(self.config["recipe"]["epochs"] * self.steps_per_epoch))

    def images(self, steps: int) -> int:
        """Return the number of training images processed after ``steps`` steps."""
        epochs, rest = divmod(steps, self.steps_per_epoch)
        return int(epochs * self.train_images + rest * self.config["recipe"]["batch_size"])

    def side_px(self, epoch: int) -> int:
        """Return the image side in px in an epoch (counted from 0); it grows in equal stages."""
        full = self.config["data"]["image_px"]
        growth, epochs = self.config["recipe"]["progressive"], self.config["recipe"]["epochs"]
        done = min(1.0, epoch / epochs)
        if growth["stages"] == 1 or done >= growth["until"]:
            return int(full)
        stage = math.floor(done / growth["until"] * (growth["stages"] - 1))
        first = growth["start_fraction"]
        share = first + (1 - first) * (stage / (growth["stages"] - 1))
        return int(min(full, max(4, 4 * round(full * share / 4))))

    def stretches(self, steps: int) -> Iterator[tuple[int, int]]:
        """Yield image side in px and number of images of each epoch, up to ``steps``."""
        if steps > LONGEST_EPOCHS * self.steps_per_epoch:
            raise ValueError(f"{steps} steps are more than {LONGEST_EPOCHS} epochs")
        for epoch in range(math.ceil(steps / self.steps_per_epoch)):
            before, after = (min(steps, (epoch + i) * self.steps_per_epoch) for i in (0, 1))
            yield self.side_px(epoch), self.images(after) - self.images(before)

    def segments(self, steps: int, counts: Mapping[str, Any]) -> tuple[Segment, ...]:
        """Return the segments of ``steps`` steps, given MACs per image by side; KeyError if a side
        has no count."""
        found: list[dict[str, Any]] = []
        for side, images in self.stretches(steps):
            cost = {"resolution_px": side, **{name: counts[str(side)][name] for name in MACS}}
            if found and all(found[-1][key] == value for key, value in cost.items()):
                found[-1]["images"] += images
            else:
                found.append({**cost, "images": images})
        return tuple(Segment(**fields) for fields in found)

    def threefold_macs(self, steps: Sequence[int], counts: Mapping[str, Any]) -> list[int]:
        """Return the sum of images * 3F up to each of ``steps``, in one pass over the epochs."""
        forward = {side: count["forward_macs"] for side, count in counts.items()}
        whole = [3 * images * forward[str(side)] for side, images in self.stretches(max(steps))]
        before = [0, *accumulate(whole)]
        sums = []
        for step in steps:
            epoch, rest = divmod(step, self.steps_per_epoch)
            macs = 3 * forward[str(self.side_px(epoch))] if rest else 0
            sums.append(before[epoch] + macs * rest * self.config["recipe"]["batch_size"])
        return sums

    def evaluated_steps(
        self, target: Target | None, accuracies: Sequence[float], steps: int
    ) -> Iterator[int]:
        """Yield the steps after which an evaluation was due, up to ``steps``.

        An epoch is split into parts, each ending at the first whole step at or past its share; the
        number of parts depends on the accuracies so far.  Yields at most one step more than there
        are ``accuracies``.
        """
        length, step = self.steps_per_epoch, 0
        looks = [(0, self._guessing(target))]
        for accuracy in [*accuracies, None]:
            per_epoch = self._per_epoch(target, looks)
            parts = step * per_epoch // length + 1
            step = min(
                max(step + 1, -(-parts * length // per_epoch)), max(self.total_steps, step + 1)
            )
            if step > steps:
                return
            yield step
            if accuracy is not None:
                looks.append((step, accuracy))

    def _guessing(self, target: Target | None) -> float:
        answers = 5 if target is not None and target.metric == "top5" else 1
        return min(1.0, answers / self.classes)

    def _per_epoch(self, target: Target | None, looks: Sequence[tuple[int, float]]) -> int:
        """Return the evaluations per epoch after ``looks``: (steps, accuracy), from step 0 on."""
        cadence = self.config["evaluation"]
        if target is None or len(looks) == 1:
            return int(cadence["per_epoch"])
        step, accuracy = looks[-1]
        if "near" in cadence:  # entries before version 0.3: distance to the target
            soon = accuracy >= target.threshold - cadence["near"]
        else:
            interval = self.steps_per_epoch / cadence["per_epoch"]
            # from the end: a full scan for every point of a long curve would be quadratic
            apart = (
                i for i in range(len(looks) - 1, 0, -1) if step - looks[i][0] >= interval - 1e-6
            )
            rise = accuracy - looks[next(apart, 0)][1]
            noise = 2 * math.sqrt(accuracy * (1 - accuracy) / self.val_images)
            soon = accuracy + max(rise, noise) >= target.threshold
        return int(cadence["per_epoch_near" if soon else "per_epoch"])


def interpolated_images(
    threshold: float, points: Sequence[tuple[int, float, int]], index: int
) -> float:
    """Return the images at which accuracy met ``threshold``, at or before evaluation ``index``.

    ``points`` are (training images, accuracy, validation images).  Log odds are interpolated
    linearly between two points; an accuracy of 0 or 1 is moved inwards by half an image.
    """
    images, accuracy, size = points[index]
    if index == 0:
        return float(images)
    images_before, accuracy_before, size_before = points[index - 1]
    low = _log_odds(accuracy_before, size_before)
    high = _log_odds(accuracy, size)
    if high <= low:
        return float(images)
    share = (_log_odds(threshold, size) - low) / (high - low)
    between = images_before + min(max(share, 0.0), 1.0) * (images - images_before)
    return min(max(between, math.nextafter(images_before, math.inf)), float(images))


def _log_odds(accuracy: float, size: int) -> float:
    inside = min(max(accuracy, 0.5 / size), 1 - 0.5 / size)
    return math.log(inside) - math.log1p(-inside)


def plan_of(evidence: Evidence) -> StepPlan:
    """Return the recount of this run; KeyError if the log lacks the data sizes."""
    start = evidence.start
    return StepPlan(
        evidence.entry.config, start["train_images"], start["val_images"], start["classes"]
    )
