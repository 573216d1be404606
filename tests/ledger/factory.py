"""Synthetic, consistent entries for tests: compute follows from the segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from efficiency_bench.records import (
    Entry,
    Evaluation,
    Segment,
    Target,
    exact_flops,
    paper3x_tfs_days,
    segments_until,
)

DIGEST = "d" * 64
TRAIN_IMAGES = 1000
VAL_IMAGES = 400


def make_target(**overrides: Any) -> Target:
    return Target(**{"metric": "top1", "value": 0.9, **overrides})


def make_evaluation(images: int, top1: float, **overrides: Any) -> Evaluation:
    fields = {
        "images": images,
        "steps": images // 10,
        "epochs": images / TRAIN_IMAGES,
        "top1": top1,
        "top5": None,
        "loss": 1.0,
        "val_images": VAL_IMAGES,
        "train_seconds": images / 100,
        "evaluation_seconds": 0.5,
    }
    return Evaluation(**{**fields, **overrides})


def make_segment(images: int, macs: int = 1_000_000, **overrides: Any) -> Segment:
    fields = {
        "images": images,
        "resolution_px": 32,
        "forward_macs": macs,
        "first_layer_macs": macs // 10,
        "backward_macs": 2 * macs - macs // 10,
    }
    return Segment(**{**fields, **overrides})


def make_entry(run_id: str = "run", **overrides: Any) -> Entry:
    """Return a 5-epoch run that crossed its target after 4 (``crossing_images=None``: never)."""
    crossing: float | None = overrides.pop("crossing_images", 4000.0)
    macs: int = overrides.pop("macs", 1_000_000)
    segments: Sequence[Segment] = overrides.pop("segments", (make_segment(5000, macs),))
    images = sum(segment.images for segment in segments)
    target = overrides.pop("target", make_target())
    if target is None:
        crossing = None
    charged = segments if target and target.source == "own_schedule" else None
    if charged is None and crossing is not None:
        charged = segments_until(segments, crossing)
    epochs = None if crossing is None else crossing / TRAIN_IMAGES
    fields: dict[str, Any] = {
        "run_id": run_id,
        "source": "measured here",
        "created_utc": "2025-01-01T00:00:00+00:00",
        "experiment": "resnet18",
        "model": "resnet18",
        "recipe": "small_plain",
        "data": "digits",
        "seed": 0,
        "date": "2015-12-10",
        "end_reason": "target" if charged else "schedule",
        "reached": None if target is None else charged is not None,
        "target": target,
        "images": images,
        "steps": images // 10,
        "epochs": images / TRAIN_IMAGES,
        "forward_macs": float(macs),
        "paper3x_tfs_days": paper3x_tfs_days(segments),
        "exact_flops": exact_flops(segments),
        "paper3x_to_target_tfs_days": paper3x_tfs_days(charged) if charged else None,
        "exact_flops_to_target": exact_flops(charged) if charged else None,
        "first_crossing_images": crossing,
        "first_crossing_epochs": epochs,
        "sustained_crossing_images": crossing,
        "sustained_crossing_epochs": epochs,
        "segments": tuple(segments),
        "evaluations": (make_evaluation(images, 0.9, **_top5(target, 0.9)),),
        "clocks": None,
        "weights_digest": None,
        "data_digest": DIGEST,
        "config_digest": None,
        "event_log_digest": None,
        "config": {},
        "provenance": None,
    }
    return Entry(**{**fields, **overrides})


def _top5(target: Target | None, accuracy: float) -> dict[str, float]:
    """Return the top-5 accuracy of an evaluation, if that is the target's metric."""
    return {"top5": accuracy} if target and target.metric == "top5" else {}


def make_rung(run_id: str, budget: float, accuracy: float = 0.8, **overrides: Any) -> Entry:
    """Return a budgeted run without a target that ended at ``accuracy``."""
    images = round(5000 * budget)
    fields: dict[str, Any] = {
        "target": None,
        "estimand": "budgeted",
        "recipe": "small_2020",
        "budget_asked": budget,
        "budget": budget,
        "classes": 10,
        "segments": (make_segment(images),),
        "evaluations": (make_evaluation(images, accuracy),),
        "config": {"target": {"metric": None}, "budget": budget},
    }
    return make_entry(run_id, **{**fields, **overrides})


def make_baseline(run_id: str, accuracy: float = 0.9, **overrides: Any) -> Entry:
    """Return a baseline: AlexNet's own run over its whole schedule, which ended at ``accuracy``."""
    target = overrides.pop("target", make_target(value=accuracy, source="own_schedule"))
    fields: dict[str, Any] = {
        "model": "alexnet",
        "experiment": "alexnet",
        "recipe": "small_alexnet",
        "date": "2012-06-01",
        "end_reason": "schedule",
        "target": target,
        "evaluations": (make_evaluation(5000, accuracy, **_top5(target, accuracy)),),
    }
    return make_entry(run_id, **{**fields, **overrides})
