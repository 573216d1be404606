"""Learning-rate schedules as pure functions of progress through the schedule.

Every function maps progress in [0, 1] to a multiple of the recipe's peak rate.  All durations
are fractions of the schedule, so that changing ``recipe.epochs`` stretches or shrinks the whole.
"""

from __future__ import annotations

import math

from efficiency_bench.config import ScheduleConfig


def rate_multiple(schedule: ScheduleConfig, progress: float) -> float:
    """Multiple of the peak learning rate at ``progress`` (fraction of the schedule, [0, 1]).

    A linear warm-up from zero comes first; the named shape fills what is left, except that
    ``step`` milestones and ``staircase`` periods are places in the whole schedule (as the
    papers that use them state them).
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
    """Up in a straight line to the peak, down in a straight line (Smith 2018, 1803.09820)."""
    if progress < schedule.peak:
        return between(schedule.start_fraction, 1.0, progress / schedule.peak)
    fall = 1.0 - schedule.peak
    return between(1.0, schedule.final_fraction, (progress - schedule.peak) / fall if fall else 1)


def between(start: float, end: float, share: float) -> float:
    """The value ``share`` (fraction) of the way from ``start`` to ``end``."""
    return start + (end - start) * share
