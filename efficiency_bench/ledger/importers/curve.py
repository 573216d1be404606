"""The learning curve of one run in a file, with epochs as numbers of completed passes.

Skipped lines may have been evaluations: those that could change the crossing are decisive.
"""

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
from efficiency_bench.records import Metric, Target
from efficiency_bench.stop_rule import chance_level, sustained_index

LONGEST_EPOCHS = 100_000.0
"""No schedule is longer; a product with a number of images cannot overflow."""

LONGEST_SECONDS = 1e10
"""Three hundred years."""


FEWEST_EPOCHS = 10
"""A shorter schedule need not have a round number of epochs."""

ROUND_EPOCHS = 5
"""The length of a schedule is usually a multiple of it."""


MOST_ON_IMAGENET = 0.92
"""No top-1 on ImageNet is higher (best: 91.1 %, Chen et al. 2023, arXiv 2302.06675)."""


@dataclass(frozen=True)
class Point:
    """One evaluation: accuracies are fractions, times are seconds since training began."""

    epochs: float
    """As printed in the file; ``completed`` converts it to completed epochs."""
    top1: float
    top5: float | None
    train_seconds: float
    evaluation_seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of a file that should hold an evaluation."""

    line: int
    """Line number, from 1."""
    epochs: float | None
    """As printed, if readable."""
    point: Point | None
    """None: the line is unusable, and the reason was recorded."""


@dataclass(frozen=True)
class MissingLine:
    """A line that may hold an evaluation but is not a point of the curve."""

    line: int
    after: int
    """Number of points of the curve before it."""
    again: Point | None = None
    """Its evaluation, if it repeats the epoch of the point before it."""


class Completed(NamedTuple):
    """The evaluations of a run in order, with completed epochs."""

    points: list[Point]
    """Empty: the curve is unusable, and the reason was recorded."""
    decided: str = ""
    """What was decided about epoch 0."""
    missing: tuple[MissingLine, ...] = ()


@dataclass(frozen=True)
class Curve:
    """What a file says about one run."""

    form: str
    name: str
    """Unique within its format; part of the run id."""
    model: str | None
    """The network's name in the file; None: not named."""
    recipe: str
    data: DataSet
    date: str | None
    """ISO date of the run or of its submission."""
    source: str
    points: Sequence[Point]
    """At least one, epochs completed and increasing."""
    seed: int | None = None
    whole: bool = True
    """Whether the run finished, so that its last evaluations can confirm a crossing."""
    missing: Sequence[MissingLine] = ()
    lines: Container[int] | None = None
    """The lines of the file that belong to the run; None: all."""
    detail: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


def epochs_in(text: object) -> float | None:
    """Parse a printed epoch from 0 to ``LONGEST_EPOCHS``; None if invalid."""
    value = decimal(text)
    return value if value is not None and 0 <= value <= LONGEST_EPOCHS else None


def seconds_in(text: object, unit_seconds: float = 1.0) -> float | None:
    """Parse a printed time as seconds (``unit_seconds`` 3600 for hours); None if invalid."""
    value = decimal(text)
    seconds = -1.0 if value is None else value * unit_seconds
    return seconds if 0 <= seconds <= LONGEST_SECONDS else None


def beyond_imagenet(points: Sequence[Point], source: Source) -> bool:
    """Return whether the top-1 is too high for ImageNet, and if so record it."""
    best = max((point.top1 for point in points), default=0.0)
    if best > MOST_ON_IMAGENET:
        source.skip(f"top-1 of {best:.1%} is more than any on ImageNet: another dataset?")
    return best > MOST_ON_IMAGENET


def completed(
    rows: Sequence[Row], data: DataSet, source: Source, *, trained: bool = False
) -> Completed:
    """Return the evaluations in order with completed epochs, or no points if that is ambiguous.

    A file that begins at epoch 0 either numbers its epochs from 0, or begins with the untrained
    network.  The epochs are numbered from 0 if the format never evaluates an untrained network
    (``trained``), or if that row is at least ten binomial standard errors above chance, as a
    baseline must be.  The network is untrained if the row is within three.  In between, the time
    of the first row and the number of epochs decide; if they disagree, the file is ambiguous.  The
    whole file is unusable if the row of epoch 0 may be among the unusable rows.

    Rows whose epoch does not increase, or with top-1 above top-5, are skipped and listed by line.
    An epoch with two accuracies that differ by more than a standard error makes the file ambiguous,
    since either may be the right one.
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
            source.skip("the row of epoch 0 is unusable, so the completed epochs are unclear")
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
        source.skip("begins with a trained network at epoch 0 and has fractional epochs: unclear")
        return nothing
    numbered = [replace(point, epochs=point.epochs + 1) for point in points]
    return Completed(numbered, f"epochs are numbered from 0{why}", missing)


def _in_order(
    rows: Sequence[Row], data: DataSet, source: Source
) -> tuple[list[Point], tuple[MissingLine, ...], str]:
    """Return points of increasing epochs, the skipped lines, and why the file is ambiguous."""
    points: list[Point] = []
    missing: list[MissingLine] = []
    for row in rows:
        point, line = row.point, row.line
        if point is None:
            missing.append(MissingLine(line, len(points)))
        elif point.top5 is not None and point.top5 < point.top1:
            source.skip("top-1 is above top-5", line)
            missing.append(MissingLine(line, len(points)))
        elif points and point.epochs <= points[-1].epochs:
            source.skip(f"epoch {point.epochs:g} is not after epoch {points[-1].epochs:g}", line)
            before = sum(p.epochs <= point.epochs for p in points)
            again = before > 0 and points[before - 1].epochs == point.epochs
            if again and _differ(points[before - 1], point, data):
                return points, (), f"epoch {point.epochs:g} has two different accuracies"
            missing.append(MissingLine(line, before, point if again else None))
        else:
            points.append(point)
    return points, tuple(missing), ""


def _differ(one: Point, other: Point, data: DataSet) -> bool:
    """Return whether two evaluations differ by over a standard error, not only by rounding."""
    pairs = [(one.top1, other.top1)]
    if one.top5 is not None and other.top5 is not None:
        pairs.append((one.top5, other.top5))
    return any(abs(a - b) > standard_error(max(a, b), data.val_images) for a, b in pairs)


def standard_error(accuracy: float, images: int) -> float:
    """Return the binomial standard error of an accuracy (a fraction) on ``images`` images."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def _first_is_trained(points: Sequence[Point], data: DataSet) -> tuple[bool | None, str]:
    """Return whether the row of epoch 0 is of a trained network (None: unclear), and why."""
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
    """Yield how far each accuracy is above chance on ``data``, in binomial standard errors."""
    measured: dict[Metric, float | None] = {"top1": point.top1, "top5": point.top5}
    for metric, accuracy in measured.items():
        chance = chance_level(metric, data.classes)
        if accuracy is not None:
            yield (accuracy - chance) / standard_error(chance, data.val_images)


def _by_seconds(points: Sequence[Point]) -> bool | None:
    """Return whether the first row took at least half an epoch's time; None with too few rows."""
    steps = [
        (b.train_seconds - a.train_seconds) / (b.epochs - a.epochs) for a, b in pairwise(points)
    ]
    typical = median(steps) if len(steps) > 1 else 0.0
    return points[0].train_seconds >= typical / 2 if typical > 0 else None


def _by_number(points: Sequence[Point]) -> bool | None:
    """Return whether numbering from 0 (not from 1) gives a round number of epochs; None if neither
    does."""
    last = points[-1].epochs
    if last < FEWEST_EPOCHS - 1 or not last.is_integer():
        return None
    from_0, from_1 = (last + 1) % ROUND_EPOCHS == 0, last % ROUND_EPOCHS == 0
    return from_0 if from_0 or from_1 else None


def decisive(curve: Curve, target: Target) -> list[MissingLine]:
    """Return the missing evaluations of ``curve`` that may change whether and when it crosses.

    A missing accuracy is assumed to lie between its neighbours, plus or minus a margin: ten
    binomial standard errors at the target, or the largest drop of the curve between two
    evaluations, whichever is larger.  It is decisive if such an accuracy could move the crossing
    earlier (always so just before a crossing) or could undo a confirmation.
    """
    accuracies = [_accuracy(point, target) for point in curve.points]
    sustained = sustained_index(target, accuracies, schedule_over=curve.whole)
    falls = [before - after for before, after in pairwise(accuracies)]
    noise = CHANCE_STANDARD_ERRORS * standard_error(target.threshold, curve.data.val_images)
    margin = max([noise, *falls])

    def decides(missing: MissingLine) -> bool:
        place = missing.after - (missing.again is not None)
        if sustained is not None and place > sustained + target.confirmations:
            return False
        if missing.again is not None:
            again = _accuracy(missing.again, target)
            return target.met_by(again) != target.met_by(accuracies[place])
        neighbours = accuracies[max(place - 1, 0) : place + 1]
        if sustained is not None and place > sustained:
            return not target.met_by(min(neighbours) - margin)
        return target.met_by(max(neighbours) + margin)

    return [missing for missing in curve.missing if decides(missing)]


def _accuracy(point: Point, target: Target) -> float:
    if target.metric == "top1" or point.top5 is None:
        return point.top1
    return point.top5
