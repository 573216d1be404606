"""What a file says about one run: its evaluations, with epochs that are completed ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from efficiency_bench.dataset_facts import DataSet
from efficiency_bench.ledger.baseline import CHANCE_STANDARD_ERRORS
from efficiency_bench.ledger.importers.reading import Source, decimal
from efficiency_bench.records import Metric
from efficiency_bench.stop_rule import chance_level

LONGEST_EPOCHS = 100_000.0
"""No schedule is longer, and no product with a number of images then overflows."""

LONGEST_SECONDS = 1e10
"""Three hundred years."""


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


def completed(
    rows: Sequence[Row], data: DataSet, source: Source, *, trained: bool = False
) -> tuple[list[Point], str]:
    """The evaluations in order with completed epochs, and what was decided about epoch 0.

    A file that begins at epoch 0 either numbers its first trained epoch so, or begins with the
    untrained network.  It is the first where the format never evaluates an untrained network
    (``trained``) or where that row is above chance as a baseline has to be (ten binomial
    standard errors).  Where that row cannot be used, nothing of the file can.

    Rows whose epoch does not increase, or that have more right at top-1 than at top-5, are
    skipped by line, the former since it cannot be known which of two evaluations counts.
    """
    points = _in_order(rows, source)
    if points and rows[0].epochs == 0 < points[0].epochs:
        source.skip("the row of epoch 0 cannot be used, so what is completed is unclear")
        return [], ""
    if not points or points[0].epochs > 0:
        return points, ""
    if not trained and not _above_chance(points[0], data):
        return points, "epoch 0 is the untrained network"
    if not all(point.epochs.is_integer() for point in points):
        source.skip("begins with a trained network at epoch 0 and has parts of epochs: unclear")
        return [], ""
    return [replace(p, epochs=p.epochs + 1) for p in points], "epochs are numbered from 0"


def _in_order(rows: Sequence[Row], source: Source) -> list[Point]:
    points: list[Point] = []
    for row in rows:
        point, line = row.point, row.line
        if point is None:
            continue
        if point.top5 is not None and point.top5 < point.top1:
            source.skip("more right at top-1 than at top-5", line)
        elif points and point.epochs <= points[-1].epochs:
            source.skip(f"epoch {point.epochs:g} is not after epoch {points[-1].epochs:g}", line)
        else:
            points.append(point)
    return points


def _above_chance(point: Point, data: DataSet) -> bool:
    measured: dict[Metric, float | None] = {"top1": point.top1, "top5": point.top5}
    for metric, accuracy in measured.items():
        chance = chance_level(metric, data.classes)
        standard_error = math.sqrt(chance * (1 - chance) / data.val_images)
        if accuracy is not None and accuracy > chance + CHANCE_STANDARD_ERRORS * standard_error:
            return True
    return False
