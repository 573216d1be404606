"""The row of a fit, and the set of rows of one fit."""

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
"""One twelfth of a Julian year."""

Censoring = Literal["none", "interval", "above", "below", "some seeds", "unknown"]


@dataclass(frozen=True)
class FitRow:
    """One model with one recipe, its seeds as replicates."""

    model: str
    recipe: str
    date: str | None
    """ISO date used in the fit; None: the row is printed but not fitted."""
    compute: float | None
    """Geometric mean over the seeds that reached the target, in the row set's currency; for a
    ladder, the smallest budget that reached it.  None: the target was never reached."""
    compute_low: float | None
    """Minimum over the seeds that reached the target; for a ladder, the largest budget that missed
    it (None: no budget missed)."""
    compute_high: float | None
    """Maximum over the seeds that reached the target; for a ladder, the same as ``compute``."""
    compute_spent: float
    """Geometric mean over the whole runs; for a ladder, its largest budget.  0: the network's MACs
    are not known (an imported curve)."""
    compute_at_least: float
    """Lower bound of compute to the target: the geometric mean over the seeds, where a seed that
    missed counts what it spent.  0: no lower bound."""
    compute_at_most: float | None
    """Upper bound; None: no upper bound.  Equal to the lower bound if compute is known."""
    seeds: int
    reached_seeds: int
    epochs_to_target: float | None
    """Mean over the seeds that reached the target; for a ladder, the schedule length of the
    smallest budget that reached it."""
    forward_macs: float
    """MACs per image, mean over the runs."""
    is_baseline: bool
    """Whether its final accuracy is the target, which it then reaches after its whole schedule."""
    run_ids: tuple[str, ...]
    model_date: str | None = None
    recipe_date: str | None = None
    scale: float = 1.0
    """MACs of the small form relative to the form that the rule gives."""
    search_tfs_days: float | None = None
    """Compute of the search for its learning rate, not part of any run's; None: not recorded."""
    seed_computes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Run id -> compute to target, for seeds that reached it; empty for a ladder."""
    missed_computes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Run id -> compute spent, for seeds that did not reach the target; empty for a ladder."""
    ladders: Mapping[int, Ladder] = field(default_factory=dict, hash=False)
    """Seed -> its ladder, in the row set's currency; empty for runs that stop at the target."""

    @property
    def censoring(self) -> Censoring:
        """What is known of compute to the target.

        none: a value; interval: both bounds; above, below: one bound; some seeds: others missed the
        target; unknown: nothing.
        """
        if self.arrived_in_part:
            return "some seeds"
        if self.compute_at_most is None:
            return "above" if self.compute_at_least > 0 else "unknown"
        if self.compute_at_least == 0:
            return "below"
        return "none" if self.compute_at_least == self.compute_at_most else "interval"

    @property
    def arrived_in_part(self) -> bool:
        """Whether some seeds reached the target and others did not."""
        return not self.ladders and 0 < self.reached_seeds < self.seeds

    @property
    def reached(self) -> bool:
        """Whether any seed reached the target."""
        return self.compute is not None

    @property
    def day(self) -> int:
        """The date as an ordinal day; the row must have a date."""
        assert self.date is not None
        return datetime.date.fromisoformat(self.date).toordinal()

    @property
    def months(self) -> float:
        """The date in months; the row must have a date."""
        return self.day / DAYS_PER_MONTH

    @property
    def known_compute(self) -> float:
        """The compute to the target; the row must have reached it."""
        assert self.compute is not None
        return self.compute


@dataclass(frozen=True)
class RowSet:
    """The rows of one fit, oldest first, with notes for the reader."""

    group: Group
    target: Target
    """The target of the group's runs; if tolerances differ, with the strictest one."""
    rows: tuple[FitRow, ...]
    crossing: Crossing
    currency: Currency
    notes: tuple[str, ...]
    levels: tuple[float, ...] = ()
    """Equally probable values of a measured target, ascending; empty if the target is exact, or if
    the runs stopped at it, so that other values cannot be read."""
    target_error: float | None = None
    """Standard error of a measured target; None: the target is exact or its error is not known."""
    axis: Axis | None = None
    """Whose date a row has; None: the later of the model's and the recipe's."""
    recipes_differ: bool = False
    """Whether recipes are fixed effects, with rows grouped by architecture."""

    @property
    def compute_unit(self) -> str:
        """Name of the currency with its unit, such as ``paper3x_tfs_days``."""
        return UNITS[self.currency]


def common_facts(runs: Sequence[Entry]) -> dict[str, Any]:
    """Return the fields of ``FitRow`` that a row's runs share, or that are means over them."""
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
    """Return the geometric mean of positive values; 0 for an empty sequence."""
    if not values:
        return 0.0
    return math.exp(math.fsum(map(math.log, values)) / len(values))
