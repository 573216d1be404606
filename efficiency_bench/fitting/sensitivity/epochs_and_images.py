"""The 2020 paper's own split of a gain: fewer epochs times cheaper images."""

from __future__ import annotations

from collections.abc import Sequence

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import Crossing
from efficiency_bench.fitting.fit_row import FitRow
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.records import Entry, Record


class EpochsAndImages(Record):
    """The gain of one network over the first, split into epochs and images."""

    model: str
    recipe: str
    date: str | None
    epochs_factor: float
    """Epochs to target of the first network over this one's."""
    images_factor: float
    """Forward MACs per image of the first network over this one's."""
    product: float
    """Product of the two factors."""
    reduction_factor: float
    """Compute of the first network over this one's.  It equals the product up to rounding and the
    averaging of seeds (arithmetic mean of epochs, geometric mean of compute)."""


def epochs_and_images(
    entries: Sequence[Entry], selection: Selection, *, crossing: Crossing = "sustained"
) -> tuple[EpochsAndImages, ...]:
    """Return the split of every row that reached the target, oldest first; the first is 1 x 1.

    Compute is 3 x forward MACs.  The first row is the baseline that set the target, else the
    oldest.  Source: Hernandez & Brown 2020, table 1.  Raises UserError unless exactly one group
    matches, or if no row with a date and MAC counts reached the target.
    """
    row_set = fit_rows(entries, selection, crossing=crossing)
    rows = [
        row
        for row in row_set.rows
        if row.reached and row.date and row.epochs_to_target and row.forward_macs
    ]
    if not rows:
        raise UserError(
            f"no dated row reached the target ({row_set.group.options()})\n"
            "measure one: efficiency-bench train experiment=resnet18"
        )
    first = next((row for row in rows if row.is_baseline), rows[0])
    return tuple(_split(first, row) for row in sorted(rows, key=lambda row: row is not first))


def _split(first: FitRow, row: FitRow) -> EpochsAndImages:
    epochs = _known(first.epochs_to_target) / _known(row.epochs_to_target)
    images = _known(first.forward_macs) / _known(row.forward_macs)
    return EpochsAndImages(
        model=row.model,
        recipe=row.recipe,
        date=row.date,
        epochs_factor=epochs,
        images_factor=images,
        product=epochs * images,
        reduction_factor=first.known_compute / row.known_compute,
    )


def _known(value: float | None) -> float:
    assert value is not None
    return value
