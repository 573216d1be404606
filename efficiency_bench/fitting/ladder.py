"""The compute that a network needs to reach an accuracy, read from a ladder of budgets.

Each rung of a ladder is one budget, whose schedule is annealed to its end.  The final accuracies
show between which two rungs an accuracy A is reached.  Compute to A is therefore known as an
interval, which is open below if every rung reaches A and open above if none does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.special import stdtrit

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.regression import Array
from efficiency_bench.target_crossing import isotonic

LEVEL_COUNT = 21
"""Number of levels that represent the error of a measured target; odd, so that one is the mean."""


@dataclass(frozen=True)
class Trial:
    """One budgeted run, trained to the end of its schedule."""

    budget: float
    """Training compute, absolute or as a share of the baseline's; positive."""
    accuracy: float
    """Final accuracy, a fraction; chance level if the run diverged."""
    seed: int = 0


@dataclass(frozen=True)
class ComputeInterval:
    """Bounds of compute to a target, in the unit of the budgets."""

    low: float
    """Largest budget that missed the target; 0 if every budget reached it."""
    high: float
    """Smallest budget that reached the target; infinite if none did."""

    @property
    def arrived(self) -> bool:
        """Whether any budget reached the target."""
        return math.isfinite(self.high)


@dataclass(frozen=True)
class Ladder:
    """Final accuracy by budget, for one network and recipe."""

    budgets: tuple[float, ...]
    """Ascending."""
    means: tuple[float, ...]
    """Measured final accuracy at each budget, mean over seeds."""
    accuracies: tuple[float, ...]
    """Isotonic regression of ``means``, weighted by the number of seeds."""
    seeds: tuple[int, ...]
    """Number of trials at each budget."""

    @property
    def violations(self) -> int:
        """Number of adjacent budgets where the larger one has the lower mean accuracy."""
        return sum(after < before for before, after in pairwise(self.means))

    def scaled(self, factor: float) -> Ladder:
        """Return the ladder with every budget multiplied by ``factor``."""
        return replace(self, budgets=tuple(factor * budget for budget in self.budgets))

    def compute_to(self, accuracy: float) -> ComputeInterval:
        """Return the bounds of compute to a final accuracy of at least ``accuracy``, a fraction."""
        low, high = self.log2_compute_to(np.array([accuracy]))
        return ComputeInterval(float(2.0 ** low[0]), float(2.0 ** high[0]))

    def log2_compute_to(self, accuracies: Array) -> tuple[Array, Array]:
        """Return both ends of log2 of compute to each of ``accuracies``; infinite where open."""
        ends = np.concatenate([[-math.inf], np.log2(self.budgets), [math.inf]])
        under = np.searchsorted(self.accuracies, accuracies, side="left")
        return ends[under], ends[under + 1]


def ladder(trials: Iterable[Trial]) -> Ladder:
    """Return the ladder of one row's trials.

    Raises UserError for no trials, a budget that is not positive, or an accuracy outside [0, 1].
    """
    rungs: dict[float, list[float]] = {}
    for trial in trials:
        _check(trial)
        rungs.setdefault(trial.budget, []).append(trial.accuracy)
    if not rungs:
        raise UserError(
            "a ladder has no trials: at least one budgeted run is required\n"
            "train one: efficiency-bench train experiment=resnet18 budget=0.25"
        )
    budgets = tuple(sorted(rungs))
    means = tuple(math.fsum(rungs[budget]) / len(rungs[budget]) for budget in budgets)
    seeds = tuple(len(rungs[budget]) for budget in budgets)
    return Ladder(budgets, means, tuple(isotonic(means, seeds).tolist()), seeds)


def seed_ladders(trials: Iterable[Trial]) -> Mapping[int, Ladder]:
    """Return seed -> the ladder of its own trials.  Raises UserError as ``ladder`` does."""
    gathered: dict[int, list[Trial]] = {}
    for trial in trials:
        gathered.setdefault(trial.seed, []).append(trial)
    return {seed: ladder(own) for seed, own in sorted(gathered.items())}


def plausible_levels(finals: Sequence[float], count: int = LEVEL_COUNT) -> Array:
    """Return equally probable values of a target measured as the mean of ``finals``, ascending.

    They are the medians of ``count`` equally probable parts of Student's t about the mean, scaled
    by the standard error of the mean over baseline seeds.  With one seed the error is not known,
    and only the mean is returned.  Raises UserError for no seeds.
    """
    if not finals:
        raise UserError(
            "a target has no baseline seeds: at least one final accuracy is required\n"
            "train the baseline: efficiency-bench train experiment=alexnet"
        )
    mean, error = math.fsum(finals) / len(finals), standard_error(finals)
    if error is None:
        return np.array([mean])
    freedom = len(finals) - 1
    shares = (np.arange(count) + 0.5) / count
    return np.asarray(mean + error * stdtrit(freedom, shares))


def standard_error(finals: Sequence[float]) -> float | None:
    """Return the standard error of the mean of ``finals``; None for a single value."""
    if len(finals) < 2:
        return None
    mean = math.fsum(finals) / len(finals)
    variance = math.fsum((f - mean) ** 2 for f in finals) / (len(finals) - 1)
    return math.sqrt(variance / len(finals))


def _check(trial: Trial) -> None:
    if not (trial.budget > 0 and math.isfinite(trial.budget)):
        raise UserError(
            f"budget {trial.budget} is invalid: a budget must be positive and finite\n"
            "give a share of the baseline's compute: budget=0.25"
        )
    if not 0 <= trial.accuracy <= 1:
        raise UserError(
            f"final accuracy {trial.accuracy} is invalid: an accuracy is a fraction from 0 to 1\n"
            "check the run's entry: efficiency-bench verify"
        )
