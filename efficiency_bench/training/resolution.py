"""Progressive resizing: the training side in pixels as a pure function of progress."""

from __future__ import annotations

from efficiency_bench.config import ProgressiveConfig

SIDE_MULTIPLE_PX = 4
"""Sides are rounded to multiples of this, so that two stride-2 stages divide them evenly."""


def side_px(progressive: ProgressiveConfig, full_px: int, progress: float) -> int:
    """Side of a training image in pixels at ``progress`` (fraction of the schedule).

    The side grows in ``stages`` equal steps from ``start_fraction * full_px`` to ``full_px``,
    which is reached at ``until``.  Growing the side during training: FFCV's recipe (Leclerc et
    al. 2023, arXiv:2306.12517), after Howard's DAWNBench entries of 2018.
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
    """Every side that ``side_px`` can give, ascending: each is counted before training."""
    smaller = range(progressive.stages - 1) if progressive.until > 0 else ()
    sides = {_side_of_stage(progressive, full_px, stage) for stage in smaller}
    return tuple(sorted(sides | {full_px}))
