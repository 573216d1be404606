"""Turn a learning curve that somebody else measured into a ledger entry.

What the file does not say stays unknown: steps, the cost of an evaluation, and also the compute,
unless the user names a network with a known exact count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from efficiency_bench.dataset_facts import CIFAR10, IMAGENET, DataSet
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.ledger.importers.curve import Curve, Point, decisive
from efficiency_bench.ledger.importers.reading import Source
from efficiency_bench.ledger.reference import reference_rows
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import (
    NOT_MEASURED,
    EndReason,
    Entry,
    Evaluation,
    Metric,
    Segment,
    Target,
    exact_flops,
    paper3x_tfs_days,
    segments_until,
)
from efficiency_bench.stop_rule import first_index, sustained_index
from efficiency_bench.target_crossing import interpolated, learning_curve

ASSUMED_RESOLUTION_PX = 224
"""Image side of the reference file's counts, assumed if the user names the network."""

UNNAMED = "unknown"
"""Name of the network if the file does not name it."""

MAX_ID_CHARS = 200
"""Longest run id that ``ledger.store`` accepts."""

OWN_TARGETS: dict[tuple[str, Metric], float] = {
    ("imagenet", "top5"): 0.791,
    ("imagenet", "top1"): 0.759,
    ("cifar10", "top1"): 0.94,
}
"""The target if the user names none: AlexNet's level (Hernandez & Brown 2020, section 2),
MLPerf's quality target for ResNet (training rules, v0.6 on), DAWNBench's level for CIFAR-10."""


TOP5_CLASSES = 100
"""With fewer classes, top-5 is uninformative (on ten, AlexNet soon passes 97 %); top-1 counts."""

SETS = {data.name: data for data in (IMAGENET, CIFAR10)}
"""Datasets that a curve can be on."""

SKIPPED_LINES = "lines of the file were skipped (config: skipped)"

KEPT_LINES = 20
"""Most skipped lines that are listed in an entry; further ones are only counted."""


@dataclass(frozen=True)
class Wanted:
    """The user's choices for an import; None: the file decides."""

    metric: Metric | None = None
    target: float | None = None
    model: str | None = None
    created_utc: str = ""
    data: str | None = None


def check(wanted: Wanted) -> None:
    """Raise UserError for an invalid target, a network without a count, or an unknown dataset."""
    if wanted.target is not None and not 0 < wanted.target <= 1:
        raise UserError(
            f"--target {wanted.target:g} must be a fraction in (0, 1]\ntype --target 0.791"
        )
    if wanted.model is not None and wanted.model not in (known := counted_models()):
        raise unknown("model", wanted.model, known)
    if wanted.data is not None and wanted.data not in SETS:
        raise unknown("data", wanted.data, SETS)


def counted_models() -> dict[str, Mapping[str, str]]:
    """Return name -> row of the reference file with its exact forward MACs at 224 px."""
    return {row["model"]: row for row in reference_rows() if row["model"]}


def to_entry(curve: Curve, wanted: Wanted, source: Source) -> Entry | None:
    """Return the entry of a curve, or None and record the reason in ``source``."""
    has_top5 = curve.points[0].top5 is not None and curve.data.classes >= TOP5_CLASSES
    metric: Metric = wanted.metric or ("top5" if has_top5 else "top1")
    if metric == "top5" and any(point.top5 is None for point in curve.points):
        source.skip("has no top-5 accuracy; import it with --metric top1")
        return None
    if wanted.model and not (curve.data.name == IMAGENET.name and _is_of(curve, wanted.model)):
        source.skip(f"its network is {curve.model} on {curve.data.name}, not {wanted.model}")
        return None
    own = OWN_TARGETS.get((curve.data.name, metric))
    value = own if wanted.target is None else wanted.target
    if value is None:
        source.skip(f"no default target for {metric} on {curve.data.name}; name one: --target 0.9")
        return None
    target = Target(metric=metric, value=value, source="published" if value == own else "setting")
    if doubtful := decisive(curve, target):
        lines = ", ".join(str(missing.line) for missing in doubtful[:KEPT_LINES])
        source.skip(
            f"not imported: whether and when {metric} {value:g} is reached may depend on what was"
            f" skipped (line {lines})"
        )
        return None
    skipped = _skipped(curve, source)
    suffix = "" if value == own else f"{metric}-{value}"
    return with_entry_digest(_entry(curve, wanted, target, suffix, skipped))


def _skipped(curve: Curve, source: Source) -> list[str]:
    """Return what was skipped among a curve's lines, at most ``KEPT_LINES`` of them."""
    found = [
        f"line {skipped.line}: {skipped.reason}"
        for skipped in source.skipped
        if skipped.line and skipped.path == source.name
        if curve.lines is None or skipped.line in curve.lines
    ]
    more = len(found) - KEPT_LINES
    return [*found[:KEPT_LINES], f"and {more} lines more"] if more > 0 else found


def run_id(*parts: str) -> str:
    """Return a safe file name for ``parts``, unique to them."""
    plain = "-".join(part for part in parts if part)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)
    if safe == plain and len(safe) <= MAX_ID_CHARS:
        return safe
    mark = hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{safe[: MAX_ID_CHARS - len(mark) - 1]}-{mark}"


def _is_of(curve: Curve, model: str) -> bool:
    """Return whether the file's network name fits (``ResNet50-v1.5`` for ``resnet50``) or is
    missing."""
    if curve.model is None:
        return True
    theirs, ours = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (curve.model, model))
    return theirs.startswith(ours)


def _entry(
    curve: Curve, wanted: Wanted, target: Target, suffix: str, skipped: Sequence[str]
) -> Entry:
    evaluations = tuple(_evaluation(point, curve.data) for point in curve.points)
    last = evaluations[-1]
    accuracies = [e.accuracy(target.metric) for e in evaluations]
    first = first_index(target, accuracies)
    sustained = sustained_index(target, accuracies, schedule_over=curve.whole)
    ending: EndReason = "schedule" if curve.whole else "failed"
    crossing = _crossing(target, evaluations, sustained)
    segments = _segments(wanted.model, last.images)
    return Entry(
        run_id=run_id("imported", curve.form, curve.name, suffix, wanted.model or ""),
        tier="imported",
        source=curve.source,
        created_utc=wanted.created_utc,
        experiment=None,
        model=wanted.model or curve.model or UNNAMED,
        recipe=curve.recipe,
        data=curve.data.name,
        seed=curve.seed,
        date=curve.date,
        end_reason="target" if sustained is not None else ending,
        end_detail="; ".join(
            filter(
                None, (curve.detail, _assumption(wanted.model), SKIPPED_LINES if skipped else "")
            )
        ),
        reached=sustained is not None,
        target=target,
        images=last.images,
        steps=None,
        epochs=last.epochs,
        **_compute(segments, crossing),
        **_epochs("first", _crossing(target, evaluations, first), curve.data),
        **_epochs("sustained", crossing, curve.data),
        first_epoch_at_target=None if first is None else evaluations[first].epochs,
        segments=segments,
        evaluations=evaluations,
        **NOT_MEASURED,
        config={
            "model": {"name": curve.model or UNNAMED},
            **curve.config,
            **({"skipped": skipped} if skipped else {}),
        },
    )


def _evaluation(point: Point, data: DataSet) -> Evaluation:
    return Evaluation(
        images=round(point.epochs * data.train_images),
        steps=None,
        epochs=point.epochs,
        top1=point.top1,
        top5=point.top5,
        loss=None,
        val_images=data.val_images,
        train_seconds=point.train_seconds,
        evaluation_seconds=point.evaluation_seconds,
    )


def _crossing(target: Target, evaluations: Sequence[Evaluation], at: int | None) -> float | None:
    return None if at is None else interpolated(target, learning_curve(target, evaluations), at)


def _epochs(kind: str, images: float | None, data: DataSet) -> dict[str, Any]:
    epochs = None if images is None else images / data.train_images
    return {f"{kind}_crossing_images": images, f"{kind}_crossing_epochs": epochs}


def _segments(model: str | None, images: int) -> tuple[Segment, ...]:
    if model is None:
        return ()
    row = counted_models()[model]
    forward, first = int(row["exact_forward_macs"]), int(row["first_layer_macs"])
    return (
        Segment(
            images=images,
            resolution_px=ASSUMED_RESOLUTION_PX,
            forward_macs=forward,
            first_layer_macs=first,
            backward_macs=2 * forward - first,
        ),
    )


def _compute(segments: tuple[Segment, ...], crossing: float | None) -> dict[str, Any]:
    until = None if crossing is None else segments_until(segments, crossing)
    return {
        "forward_macs": float(segments[0].forward_macs) if segments else None,
        "paper3x_tfs_days": paper3x_tfs_days(segments) if segments else None,
        "exact_flops": exact_flops(segments) if segments else None,
        "paper3x_to_target_tfs_days": paper3x_tfs_days(until) if until else None,
        "exact_flops_to_target": exact_flops(until) if until else None,
    }


def _assumption(model: str | None) -> str:
    return f"compute: {model} at {ASSUMED_RESOLUTION_PX} px assumed throughout" if model else ""
