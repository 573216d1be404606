"""The compute that a network needs to reach an accuracy, read from a ladder of budgets.

Each rung of a ladder is a schedule annealed to its end at one budget.  Final accuracies say
between which two rungs an accuracy is reached: compute-to-A is known as an interval, open below
if every rung reaches A and open above if none does.
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

DRAWN_LEVELS = 21
"""Levels that stand for the error of a measured target; odd, so that one is the mean."""


@dataclass(frozen=True)
class Trial:
    """One schedule trained to its end."""

    budget: float
    """Training compute, or its share of the baseline's; positive."""
    accuracy: float
    """Final, a fraction; of a run that diverged, that of chance."""
    seed: int = 0


@dataclass(frozen=True)
class ComputeInterval:
    """Where compute-to-target lies, in the unit of the budgets."""

    low: float
    """Largest budget under the target; 0 if every budget reached it."""
    high: float
    """Smallest budget at or over the target; infinite if none reached it."""

    @property
    def arrived(self) -> bool:
        """Whether some budget reached the target."""
        return math.isfinite(self.high)


@dataclass(frozen=True)
class Ladder:
    """Final accuracy by budget, one network and recipe."""

    budgets: tuple[float, ...]
    """Ascending."""
    means: tuple[float, ...]
    """Final accuracy at each budget, mean over seeds, as measured."""
    accuracies: tuple[float, ...]
    """The same made monotone: the nearest sequence that never falls, weighted by seeds."""
    seeds: tuple[int, ...]
    """Trials at each budget."""

    @property
    def violations(self) -> int:
        """Pairs of neighbouring budgets of which the larger one has the lower mean accuracy."""
        return sum(after < before for before, after in pairwise(self.means))

    def scaled(self, factor: float) -> Ladder:
        """The ladder with every budget times ``factor``."""
        return replace(self, budgets=tuple(factor * budget for budget in self.budgets))

    def compute_to(self, accuracy: float) -> ComputeInterval:
        """Compute to a final accuracy of at least ``accuracy``, a fraction."""
        low, high = self.log2_compute_to(np.array([accuracy]))
        return ComputeInterval(float(2.0 ** low[0]), float(2.0 ** high[0]))

    def log2_compute_to(self, accuracies: Array) -> tuple[Array, Array]:
        """Both ends of log2 of compute to each of ``accuracies``; infinite where open."""
        ends = np.concatenate([[-math.inf], np.log2(self.budgets), [math.inf]])
        under = np.searchsorted(self.accuracies, accuracies, side="left")
        return ends[under], ends[under + 1]


def ladder(trials: Iterable[Trial]) -> Ladder:
    """The ladder of one row's trials.

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
    """Seed -> the ladder of its trials alone.  Raises UserError as ``ladder`` does."""
    gathered: dict[int, list[Trial]] = {}
    for trial in trials:
        gathered.setdefault(trial.seed, []).append(trial)
    return {seed: ladder(own) for seed, own in sorted(gathered.items())}


def drawn_levels(finals: Sequence[float], count: int = DRAWN_LEVELS) -> Array:
    """Levels that a target measured as the mean of ``finals`` may really have, ascending.

    They stand at the middles of ``count`` equally probable parts of Student's t about the mean,
    with the standard error of that mean over baseline seeds.  The error of one seed is not known:
    then the mean alone.  Raises UserError for no seeds.
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
    """Standard error of the mean of ``finals``; None of a single one."""
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
