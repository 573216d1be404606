"""The table ``curves``: one line per evaluation of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from efficiency_bench.records import Entry, Evaluation, Segment, paper3x_tfs_days, segments_until
from efficiency_bench.report.export.columns import Column, Table, TableSchema, fill


@dataclass(frozen=True)
class Point:
    """One evaluation of a run and the training before it."""

    run_id: str
    evaluation: Evaluation
    number: int
    before: tuple[Segment, ...]
    """Empty if the network's MACs are unknown (an imported curve)."""


def curves_table(entries: Iterable[Entry]) -> Table:
    """Return the table ``curves`` of ledger entries, with each run's evaluations in order."""
    points = (
        Point(entry.run_id, evaluation, number, segments_until(entry.segments, evaluation.images))
        for entry in entries
        for number, evaluation in enumerate(entry.evaluations, 1)
    )
    return fill(CURVES, points, lambda point: f"run {point.run_id}")


CURVES: TableSchema[Point] = TableSchema(
    name="curves",
    description="One line per evaluation of a run",
    primary_key=("run_id", "evaluation"),
    columns=(
        Column("run_id", "string", None, "Run, as in runs", lambda p: p.run_id),
        Column(
            "evaluation", "integer", None, "Number of the evaluation, from 1", lambda p: p.number
        ),
        Column(
            *("images", "integer", "image", "Training images processed before it"),
            lambda p: p.evaluation.images,
        ),
        Column(
            *("paper3x_tfs_days", "number", "tfs-day", "Training compute before it: images x 3F"),
            lambda p: paper3x_tfs_days(p.before) if p.before else None,
        ),
        Column(
            *("image_px", "integer", "px", "Side of the training images just before it"),
            lambda p: p.before[-1].resolution_px if p.before else None,
        ),
        Column("top1", "number", "fraction", "Top-1 accuracy", lambda p: p.evaluation.top1),
        Column("top5", "number", "fraction", "Top-5 accuracy", lambda p: p.evaluation.top5),
        Column("loss", "number", "nat/image", "Mean cross-entropy", lambda p: p.evaluation.loss),
        Column(
            *("val_images", "integer", "image", "Validation images behind the accuracies"),
            lambda p: p.evaluation.val_images,
        ),
    ),
)
