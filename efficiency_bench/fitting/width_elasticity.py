"""How compute to the target changes with the width of the small forms.

Small images need smaller networks, and how small is a choice.  The elasticity says what the choice
costs: if a network with twice the MACs per image needs 2^e times the compute to the target, it is
e.  At 0 the forms do not matter; at 1 a halving time is a statement about widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored import CensoredRows
from efficiency_bench.fitting.censored_regression import CensoredRegression, indicators
from efficiency_bench.fitting.fit_row import FitRow, RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.regression import Array
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.baseline import LADDER_RECIPE
from efficiency_bench.records import Entry

LARGE = 0.5
"""From here on, the widths of the forms are a large part of any trend (docs/protocol.md)."""


@dataclass(frozen=True)
class WidthElasticity:
    """Slope of log2 of compute to the target on log2 of forward MACs, within each network."""

    slope: float | None
    """None: not identified (for example, no row reached the target)."""
    low: float | None
    high: float | None
    """95 % interval; None where open."""
    rows: int
    models: tuple[str, ...]

    @property
    def large(self) -> bool:
        """Whether the estimate is over ``LARGE``."""
        return self.slope is not None and self.slope > LARGE

    @property
    def small(self) -> bool:
        """Whether the whole interval lies within ``LARGE`` of zero."""
        ends = self.low, self.high
        return all(end is not None and abs(end) <= LARGE for end in ends)


def width_elasticity(entries: Sequence[Entry], selection: Selection) -> WidthElasticity:
    """Return the elasticity over the networks that were run at several ``model.scale``.

    Each network has its own intercept; compute enters as an interval, a point or a bound, as in
    the fit of the halving time.  Only rows of ``LADDER_RECIPE`` are used, on no axis.  Raises
    UserError if no network has two scales, or if fewer than three rows are bounded.
    """
    row_set = fit_rows(entries, replace(selection, axis=None))
    rows = [row for row in row_set.rows if row.recipe == LADDER_RECIPE]
    scales: dict[str, set[float]] = {}
    for row in rows:
        scales.setdefault(row.model, set()).add(row.scale)
    models = tuple(sorted(model for model, found in scales.items() if len(found) > 1))
    if not models:
        raise UserError(
            "width elasticity needs a network at two scales or more\n"
            "train one: efficiency-bench train -m suite=ladder model=resnet18 model.scale=0.5,2"
        )
    return _fitted(row_set, [row for row in rows if row.model in models], models)


def _fitted(row_set: RowSet, rows: Sequence[FitRow], models: tuple[str, ...]) -> WidthElasticity:
    taken, levels = CensoredRows(row_set, tuple(rows)), max(1, len(row_set.levels))
    macs: list[float] = []
    ends: list[Array] = []
    names: list[str] = []
    groups: list[str] = []
    for i, row in enumerate(rows):
        for observed in taken.observations(row):
            macs.append(math.log2(row.forward_macs))
            ends.append(np.broadcast_to(observed, (2, levels)))
            names.append(row.model)
            groups.append(str(i))
    low, high = np.moveaxis(np.array(ends), 0, 2)
    columns = indicators(names) if len(models) > 1 else None
    found = CensoredRegression(macs, low, high, groups=groups, columns=columns).fit()
    return WidthElasticity(
        slope=found.slope_per_month,
        low=found.slope_low_per_month,
        high=found.slope_high_per_month,
        rows=len(rows),
        models=models,
    )
