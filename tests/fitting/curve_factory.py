"""Runs with exact learning curves: accuracy linear in images on the logit scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.records import Entry
from efficiency_bench.target_crossing import first_crossing, sustained_crossing
from tests.ledger.factory import make_entry, make_evaluation, make_segment, make_target

START_LOGIT = -3.0
DAYS = (0, 400, 900, 1500, 2100)
SCALE_IMAGES = 1e9
"""So many that rounding a crossing to whole images is below any tolerance here."""


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def iso(days: int) -> str:
    return (date(2012, 1, 1) + timedelta(days=days)).isoformat()


def run_with_curve(
    run_id: str, points: Sequence[tuple[int, float]], end_reason: str = "schedule", **overrides: Any
) -> Entry:
    """A run of 1 MMAC per image whose evaluations are ``points`` of (images, top-1)."""
    target = overrides.pop("target", make_target(confirmations=2))
    evaluations = tuple(make_evaluation(images, top1, val_images=10**9) for images, top1 in points)
    first = first_crossing(target, evaluations)
    sustained = sustained_crossing(target, evaluations, schedule_over=end_reason == "schedule")
    segments = overrides.pop("segments", (make_segment(points[-1][0]),))
    fields = {
        "model": run_id,
        "evaluations": evaluations,
        "end_reason": end_reason,
        "target": target,
        "segments": segments,
        "crossing_images": sustained,
        "first_crossing_images": first,
    }
    return make_entry(run_id, **{**fields, **overrides})


def straight(run_id: str, scale_images: float, points: int = 30, **overrides: Any) -> Entry:
    """logit(top-1) = START_LOGIT + images / scale_images, seen ``points`` times up to 9."""
    seen = [round(i * 9 * scale_images / (points - 1)) for i in range(points)]
    return run_with_curve(
        run_id,
        [(images, sigmoid(START_LOGIT + images / scale_images)) for images in seen],
        **overrides,
    )


def planted(halving_months: float, **overrides: Any) -> list[Entry]:
    """Five runs whose compute to every threshold halves every ``halving_months``."""
    return [
        straight(
            f"m{i}",
            SCALE_IMAGES * 2 ** (-days / DAYS_PER_MONTH / halving_months),
            date=iso(days),
            **overrides,
        )
        for i, days in enumerate(DAYS)
    ]


def compute_tfs_days(images: float, macs: int = 1_000_000) -> float:
    return 3 * macs * images / 8.64e16


def with_baseline(**overrides: Any) -> list[Entry]:
    """``planted`` runs to the level of an AlexNet that is among them."""
    baseline = straight(
        "alexnet", 1e9, target=make_target(source="own_schedule"), date="2012-06-01"
    )
    target = make_target(source="baseline", baseline_run_ids=("alexnet",), **overrides)
    others = planted(20, target=target)
    return [baseline, *(run for run in others if run.date != "2012-01-01")]
