"""Learning-rate schedules as pure functions of progress through the schedule.

Every function maps progress in [0, 1] to a multiple of the recipe's peak rate.  All durations
are fractions of the schedule, so that changing ``recipe.epochs`` rescales all of it.
"""

from __future__ import annotations

import math

from efficiency_bench.config import ProgressiveConfig, ScheduleConfig


def rate_multiple(schedule: ScheduleConfig, progress: float) -> float:
    """Multiple of the peak learning rate at ``progress`` (fraction of the schedule, [0, 1]).

    A linear warm-up from zero comes first and the named shape fills the rest.  ``step``
    milestones and ``staircase`` periods are fractions of the whole schedule, warm-up included,
    as in the papers that use them.
    """
    if progress < schedule.warmup:
        return progress / schedule.warmup
    rest = 1.0 - schedule.warmup
    after = (progress - schedule.warmup) / rest if rest > 0 else 1.0
    match schedule.name:
        case "constant":
            return 1.0
        case "step":
            return schedule.factor ** sum(progress >= m for m in schedule.milestones)
        case "staircase":
            return schedule.factor ** math.floor(progress / schedule.period)
        case "exponential":
            return schedule.final_fraction**after
        case "cosine":
            return between(schedule.final_fraction, 1.0, (1 + math.cos(math.pi * after)) / 2)
        case "linear":
            return between(1.0, schedule.final_fraction, after)
        case "one_cycle":
            return one_cycle(schedule, after)
    raise ValueError(f"unknown schedule {schedule.name!r}")


def one_cycle(schedule: ScheduleConfig, progress: float) -> float:
    """Linear rise to the peak, then linear fall (Smith 2018, arXiv:1803.09820)."""
    if progress < schedule.peak:
        return between(schedule.start_fraction, 1.0, progress / schedule.peak)
    fall = 1.0 - schedule.peak
    return between(1.0, schedule.final_fraction, (progress - schedule.peak) / fall if fall else 1)


def between(start: float, end: float, share: float) -> float:
    """The value ``share`` (fraction) of the way from ``start`` to ``end``."""
    return start + (end - start) * share


SIDE_MULTIPLE_PX = 4
"""Sides are rounded to multiples of this, so that two stride-2 stages divide evenly."""


def side_px(progressive: ProgressiveConfig, full_px: int, progress: float) -> int:
    """Side of a training image in pixels at ``progress`` (fraction of the schedule).

    The side grows in ``stages`` equal steps from ``start_fraction * full_px`` to ``full_px``,
    which is reached at ``until``.  Source: FFCV's recipe (Leclerc et al. 2023,
    arXiv:2306.12517), after Howard's DAWNBench entries of 2018.
    """
    if progressive.stages == 1 or progress >= progressive.until:
        return full_px
    stage = int(progress / progressive.until * (progressive.stages - 1))
    return _side_of_stage(progressive, full_px, stage)


def _side_of_stage(progressive: ProgressiveConfig, full_px: int, stage: int) -> int:
    share = stage / (progressive.stages - 1)
    start = progressive.start_fraction
    side = full_px * (start + (1 - start) * share)
    return min(full_px, max(SIDE_MULTIPLE_PX, round(side / SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX))


def all_sides_px(progressive: ProgressiveConfig, full_px: int) -> tuple[int, ...]:
    """Every side that ``side_px`` can return, ascending; each is counted before training."""
    smaller = range(progressive.stages - 1) if progressive.until > 0 else ()
    sides = {_side_of_stage(progressive, full_px, stage) for stage in smaller}
    return tuple(sorted(sides | {full_px}))
