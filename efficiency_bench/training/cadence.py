"""When to look at the validation set: places in the epoch, finer near the target."""

from __future__ import annotations

from efficiency_bench.config import EvaluationConfig
from efficiency_bench.records import Target


def evaluations_per_epoch(
    cadence: EvaluationConfig, target: Target | None, accuracy: float | None
) -> int:
    """Evaluations an epoch, given the latest accuracy (a fraction; None before the first).

    A run without a target (a baseline, which ends with its schedule) keeps the coarse cadence.
    """
    if target is None or accuracy is None or accuracy < target.threshold - cadence.near:
        return cadence.per_epoch
    return cadence.per_epoch_near


def due(step: int, steps_per_epoch: int, per_epoch: int) -> bool:
    """Whether an evaluation follows ``step`` (counted from 1 over the whole run).

    An epoch is cut into ``per_epoch`` parts as equal as whole steps allow; the epoch's last
    step always ends one.  With more evaluations than steps, every step is followed by one.
    """
    return step * per_epoch // steps_per_epoch > (step - 1) * per_epoch // steps_per_epoch
