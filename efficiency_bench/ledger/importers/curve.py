"""What a file says about one run: its evaluations, with epochs that are completed ones."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile
from statistics import median
from typing import Any, NamedTuple

from efficiency_bench.dataset_facts import DataSet
from efficiency_bench.ledger.baseline import (
    CHANCE_STANDARD_ERRORS,
    DISAGREEMENT_STANDARD_ERRORS,
)
from efficiency_bench.ledger.importers.reading import Source, decimal
from efficiency_bench.records import Metric
from efficiency_bench.stop_rule import chance_level

LONGEST_EPOCHS = 100_000.0
"""No schedule is longer, and no product with a number of images then overflows."""

LONGEST_SECONDS = 1e10
"""Three hundred years."""


FEWEST_EPOCHS = 10
"""A schedule of fewer epochs need not be a round number of them."""

ROUND_EPOCHS = 5
"""A schedule is a multiple of it more often than one more or one less."""


MOST_ON_IMAGENET = 0.92
"""Nothing has more right at top-1 on ImageNet (91.1 %: Chen et al. 2023, arXiv 2302.06675)."""


@dataclass(frozen=True)
class Point:
    """One evaluation: accuracies are fractions, times are seconds since training began."""

    epochs: float
    """As the file prints it, until ``completed`` has made it a number of completed ones."""
    top1: float
    top5: float | None
    train_seconds: float
    evaluation_seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of a file that should be an evaluation."""

    line: int
    """Its number, from 1."""
    epochs: float | None
    """As it is printed, where that much can be read."""
    point: Point | None
    """None: it cannot be used, which has been noted."""


@dataclass(frozen=True)
class Missing:
    """A line that may have been an evaluation and is none of the curve's points."""

    line: int
    after: int
    """Points of the curve that come before it."""
    again: Point | None = None
    """What it says, where it evaluates the epoch of the point before it once more."""


class Completed(NamedTuple):
    """The evaluations of a run with completed epochs, in order."""

    points: list[Point]
    """None of them: what is wrong has been noted."""
    decided: str = ""
    """What was decided about epoch 0."""
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True)
class Curve:
    """What a file says about one run."""

    form: str
    name: str
    """Tells it from every other curve of its format; the run id follows from it."""
    model: str | None
    """The network as the file calls it; None: it does not."""
    recipe: str
    data: DataSet
    date: str | None
    """ISO date of the run or of its submission."""
    source: str
    points: Sequence[Point]
    """At least one, epochs completed and increasing."""
    seed: int | None = None
    whole: bool = True
    """Whether the run went on to its own end, so that what remains may confirm a crossing."""
    missing: Sequence[Missing] = ()
    lines: Container[int] | None = None
    """The run's lines of the file; None: all are."""
    detail: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


def epochs_in(text: object) -> float | None:
    """An epoch as it is printed, at least 0 and at most ``LONGEST_EPOCHS``, or None."""
    value = decimal(text)
    return value if value is not None and 0 <= value <= LONGEST_EPOCHS else None


def seconds_in(text: object, unit_seconds: float = 1.0) -> float | None:
    """A printed time in seconds (``unit_seconds`` 3600 for hours), not negative, or None."""
    value = decimal(text)
    seconds = -1.0 if value is None else value * unit_seconds
    return seconds if 0 <= seconds <= LONGEST_SECONDS else None


def beyond_imagenet(points: Sequence[Point], source: Source) -> bool:
    """Whether a curve that should be of ImageNet has more right than anybody there; then noted."""
    best = max((point.top1 for point in points), default=0.0)
    if best > MOST_ON_IMAGENET:
        source.skip(f"top-1 of {best:.1%} is more than anything has on ImageNet: another set?")
    return best > MOST_ON_IMAGENET


def completed(
    rows: Sequence[Row], data: DataSet, source: Source, *, trained: bool = False
) -> Completed:
    """The evaluations in order with completed epochs, or no point where that much is unclear.

    A file that begins at epoch 0 either numbers its first trained epoch so, or begins with the
    untrained network.  It is the first where the format never evaluates an untrained network
    (``trained``) or where that row is above chance as a baseline has to be (ten binomial
    standard errors); the second where it is at chance (three).  In between the seconds of the
    first row and the number of epochs decide, and nothing does where they contradict.  Where the
    row of epoch 0 may be among those that cannot be used, nothing of the file can.

    Rows whose epoch does not increase, or that have more right at top-1 than at top-5, are
    skipped by line.  An epoch with two accuracies that differ by more than a standard error
    leaves the file unclear, since it cannot be known which of them counts.
    """
    nothing = Completed([])
    points, missing, unclear = _in_order(rows, data, source)
    if unclear:
        source.skip(unclear)
        return nothing
    if not points:
        return nothing
    if points[0].epochs > 0:
        lost = list(takewhile(lambda row: row.point is not points[0], rows))
        if any(not row.epochs for row in lost):
            source.skip("the row of epoch 0 cannot be used, so what is completed is unclear")
            return nothing
        if trained:
            source.skip(f"begins at epoch {points[0].epochs:g}, the format at 0: a part is missing")
            return nothing
        return Completed(points, "", missing)
    first, why = (True, "") if trained else _first_is_trained(points, data)
    if first is None:
        source.skip(f"epoch 0 may be untrained or the first trained one: {why}")
        return nothing
    if not first:
        return Completed(points, f"epoch 0 is the untrained network{why}", missing)
    if not all(point.epochs.is_integer() for point in points):
        source.skip("begins with a trained network at epoch 0 and has parts of epochs: unclear")
        return nothing
    numbered = [replace(point, epochs=point.epochs + 1) for point in points]
    return Completed(numbered, f"epochs are numbered from 0{why}", missing)


def _in_order(
    rows: Sequence[Row], data: DataSet, source: Source
) -> tuple[list[Point], tuple[Missing, ...], str]:
    """Points of increasing epochs, the lines between them, and what makes both worthless."""
    points: list[Point] = []
    missing: list[Missing] = []
    for row in rows:
        point, line = row.point, row.line
        if point is None:
            missing.append(Missing(line, len(points)))
        elif point.top5 is not None and point.top5 < point.top1:
            source.skip("more right at top-1 than at top-5", line)
            missing.append(Missing(line, len(points)))
        elif points and point.epochs <= points[-1].epochs:
            source.skip(f"epoch {point.epochs:g} is not after epoch {points[-1].epochs:g}", line)
            before = sum(p.epochs <= point.epochs for p in points)
            again = before > 0 and points[before - 1].epochs == point.epochs
            if again and _differ(points[before - 1], point, data):
                return points, (), f"epoch {point.epochs:g} has two accuracies: which one counts?"
            missing.append(Missing(line, before, point if again else None))
        else:
            points.append(point)
    return points, tuple(missing), ""


def _differ(one: Point, other: Point, data: DataSet) -> bool:
    """Whether two evaluations differ by more than a standard error, so not in rounding alone."""
    pairs = [(one.top1, other.top1)]
    if one.top5 is not None and other.top5 is not None:
        pairs.append((one.top5, other.top5))
    return any(abs(a - b) > standard_error(max(a, b), data.val_images) for a, b in pairs)


def standard_error(accuracy: float, images: int) -> float:
    """Binomial standard error of an accuracy (a fraction) measured on ``images`` images."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def _first_is_trained(points: Sequence[Point], data: DataSet) -> tuple[bool | None, str]:
    """Whether the row of epoch 0 is a trained network's, None where that is unclear, and why."""
    above = max(errors_above_chance(points[0], data))
    if above > CHANCE_STANDARD_ERRORS or above <= DISAGREEMENT_STANDARD_ERRORS:
        return above > CHANCE_STANDARD_ERRORS, ""
    by_seconds, by_number = _by_seconds(points), _by_number(points)
    doubt = f"{above:.1f} standard errors above chance"
    if by_seconds is None:
        return None, f"{doubt}, and too few rows to judge it by its time"
    if by_number is not None and by_number != by_seconds:
        return None, f"{doubt}; its time and the number of epochs contradict one another"
    return by_seconds, f", by its time ({doubt})"


def errors_above_chance(point: Point, data: DataSet) -> Iterator[float]:
    """How far each accuracy lies above guessing on ``data``, in binomial standard errors."""
    measured: dict[Metric, float | None] = {"top1": point.top1, "top5": point.top5}
    for metric, accuracy in measured.items():
        chance = chance_level(metric, data.classes)
        if accuracy is not None:
            yield (accuracy - chance) / standard_error(chance, data.val_images)


def _by_seconds(points: Sequence[Point]) -> bool | None:
    """Whether the first row took at least half as long as an epoch; None with too few rows."""
    steps = [
        (b.train_seconds - a.train_seconds) / (b.epochs - a.epochs) for a, b in pairwise(points)
    ]
    typical = median(steps) if len(steps) > 1 else 0.0
    return points[0].train_seconds >= typical / 2 if typical > 0 else None


def _by_number(points: Sequence[Point]) -> bool | None:
    """Whether the epochs make a round number if numbered from 0; None where neither does."""
    last = points[-1].epochs
    if last < FEWEST_EPOCHS - 1 or not last.is_integer():
        return None
    from_0, from_1 = (last + 1) % ROUND_EPOCHS == 0, last % ROUND_EPOCHS == 0
    return from_0 if from_0 or from_1 else None
