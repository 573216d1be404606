"""A row of a fit and a set of rows: what is known of compute to the target, and of whom."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from efficiency_bench.fitting.currencies import UNITS, Crossing, Currency
from efficiency_bench.fitting.groups import Axis, Group
from efficiency_bench.fitting.ladder import Ladder
from efficiency_bench.identity import form_scale, own_dates
from efficiency_bench.records import Entry, Target

DAYS_PER_MONTH = 365.25 / 12
"""A month of the Julian year, so that twelve are one year."""

Censoring = Literal["none", "interval", "above", "below", "some seeds", "unknown"]


@dataclass(frozen=True)
class FitRow:
    """One model with one recipe, its seeds as replicates."""

    model: str
    recipe: str
    date: str | None
    """ISO date at which it is fitted; None: shown, not fitted."""
    compute: float | None
    """Geometric mean over the seeds that reached the target, in the row set's currency; of a
    ladder, the smallest budget that reached it.  None: none did."""
    compute_low: float | None
    """Least of the seeds that reached; of a ladder, the largest budget that missed, None: none."""
    compute_high: float | None
    compute_spent: float
    """Geometric mean of the whole runs; of a ladder, its largest budget.  0: nobody counted the
    network (an imported curve)."""
    compute_at_least: float
    """Compute to the target lies above this (or equals it, if known): the geometric mean over the
    seeds, with what was spent for a seed that missed.  0: nothing bounds it."""
    compute_at_most: float | None
    """And at most at this; None: nothing bounds it."""
    seeds: int
    reached_seeds: int
    epochs_to_target: float | None
    """Mean over the seeds that reached; of a ladder, the length of that rung's schedule."""
    forward_macs: float
    """Mean over the runs, MACs per image."""
    is_baseline: bool
    """Whether its own level is the target; it counts as reaching it after its whole schedule."""
    run_ids: tuple[str, ...]
    model_date: str | None = None
    recipe_date: str | None = None
    scale: float = 1.0
    """MACs of the small form over those of the rule's."""
    search_tfs_days: float | None = None
    """Compute of the search for its learning rate, in no run's own; None: not recorded."""
    seed_computes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Run id -> compute to target, of the seeds that reached; of a ladder, empty."""
    missed_computes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Run id -> compute spent, of the seeds that did not reach the target; of a ladder, empty."""
    ladders: Mapping[int, Ladder] = field(default_factory=dict, hash=False)
    """Seed -> its ladder in the row set's currency; empty for runs that stop at the target."""

    @property
    def censoring(self) -> Censoring:
        """How compute to the target is known."""
        if self.arrived_in_part:
            return "some seeds"
        if self.compute_at_most is None:
            return "above" if self.compute_at_least > 0 else "unknown"
        if self.compute_at_least == 0:
            return "below"
        return "none" if self.compute_at_least == self.compute_at_most else "interval"

    @property
    def arrived_in_part(self) -> bool:
        """Whether some of its seeds reached the target and others did not."""
        return not self.ladders and 0 < self.reached_seeds < self.seeds

    @property
    def reached(self) -> bool:
        """Whether any seed reached the target."""
        return self.compute is not None

    @property
    def day(self) -> int:
        """The date of a dated row as a count of days."""
        assert self.date is not None
        return datetime.date.fromisoformat(self.date).toordinal()

    @property
    def months(self) -> float:
        """The date of a dated row in months."""
        return self.day / DAYS_PER_MONTH

    @property
    def known_compute(self) -> float:
        """The compute of a row that reached."""
        assert self.compute is not None
        return self.compute


@dataclass(frozen=True)
class RowSet:
    """The rows of one fit, oldest first, and what should be said about them."""

    group: Group
    target: Target
    """The target of the group's runs, the strictest tolerance if they differ."""
    rows: tuple[FitRow, ...]
    crossing: Crossing
    currency: Currency
    notes: tuple[str, ...]
    levels: tuple[float, ...] = ()
    """Equally probable values of a measured target, ascending; empty: the target is exact, or the
    runs stopped at it and say nothing of others."""
    target_error: float | None = None
    """Standard error of a measured target; None: exact, or not known."""
    axis: Axis | None = None
    """What the dates are of; None: the later of the model's and the recipe's."""
    recipes_differ: bool = False
    """Whether recipes are fixed effects, and architectures groups of rows."""

    @property
    def compute_unit(self) -> str:
        """``paper3x_tfs_days``, or that of another currency."""
        return UNITS[self.currency]


def common_facts(runs: Sequence[Entry]) -> dict[str, Any]:
    """Fields of ``FitRow`` that all runs of a row share, or that are means over them."""
    first = runs[0]
    model_date, recipe_date = own_dates(first)
    return {
        "model": first.model,
        "recipe": first.recipe,
        "date": first.date,
        "model_date": model_date,
        "recipe_date": recipe_date,
        "scale": form_scale(first),
        "search_tfs_days": first.rates.search_tfs_days if first.rates else None,
        "forward_macs": math.fsum(entry.forward_macs or 0.0 for entry in runs) / len(runs),
        "run_ids": tuple(entry.run_id for entry in runs),
    }


def geometric_mean(values: Sequence[float]) -> float:
    """Geometric mean of positive values; 0 of none."""
    if not values:
        return 0.0
    return math.exp(math.fsum(map(math.log, values)) / len(values))
