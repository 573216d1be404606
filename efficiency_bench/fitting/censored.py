"""The halving time over all rows, including those that did not reach the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored_regression import (
    CensoredFit,
    CensoredRegression,
    Height,
    indicators,
)
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH, FitRow, RowSet
from efficiency_bench.fitting.halving import (
    LEAST_ROWS,
    HalvingTime,
    band_days,
    power_of_two,
    result_rows,
    shared_fields,
    slope_parts,
    too_few,
)
from efficiency_bench.fitting.regression import Array

AT_FLOOR = 1e-6
"""Relative distance from its floor below which a scatter counts as equal to the floor."""


MOST_ROWS_WITH_SEEDS = 200
"""With more rows, each enters as the mean of its seeds: so many rows determine the scatter."""


@dataclass(frozen=True)
class CensoredRows:
    """The rows of a set whose compute is known or bounded, and their regression."""

    row_set: RowSet
    rows: tuple[FitRow, ...]

    @classmethod
    def from_row_set(cls, row_set: RowSet, without: FitRow | None = None) -> CensoredRows:
        """Take the dated rows whose compute is known or bounded, except ``without``.

        Raises UserError for fewer than three rows.
        """
        dated = [row for row in row_set.rows if row.date is not None and row is not without]
        rows = tuple(row for row in dated if row.censoring != "unknown")
        if len(rows) < LEAST_ROWS:
            raise UserError(too_few(row_set, len(rows), "whose compute is known or bounded"))
        return cls(row_set, rows)

    @cached_property
    def regression(self) -> CensoredRegression:
        """The regression over all seeds, grouped by row, or by model if recipes differ."""
        levels = max(1, len(self.row_set.levels))
        months: list[float] = []
        ends: list[Array] = []
        groups: list[str] = []
        recipes: list[str] = []
        for i, row in enumerate(self.rows):
            for observed in self.observations(row):
                months.append(row.months)
                ends.append(np.broadcast_to(observed, (2, levels)))
                groups.append(row.model if self.row_set.recipes_differ else str(i))
                recipes.append(row.recipe)
        low, high = np.moveaxis(np.array(ends), 0, 2)
        columns = indicators(recipes) if self.row_set.recipes_differ else None
        return CensoredRegression(months, low, high, groups=groups, columns=columns)

    def observations(self, row: FitRow) -> list[Array]:
        """Return the ends of log2 of compute, one array per seed, [2, levels] or [2, 1]."""
        if row.ladders:
            accuracies = np.array(self.row_set.levels or [self.row_set.target.threshold])
            return [np.array(own.log2_compute_to(accuracies)) for own in row.ladders.values()]
        known = [*row.seed_computes.values(), *row.missed_computes.values()]
        same = row.is_baseline and len(set(known)) == 1
        if not known or same or len(self.rows) > MOST_ROWS_WITH_SEEDS:
            # a baseline's seeds are charged the same schedule, so their computes show no scatter
            low = math.log2(row.compute_at_least)
            high = math.inf if row.compute_at_most is None else math.log2(row.compute_at_most)
            return [np.array([[low], [high]])]
        points = [[math.log2(c)] * 2 for c in row.seed_computes.values()]
        bounds = [[math.log2(spent), math.inf] for spent in row.missed_computes.values()]
        return [np.array([[low], [high]]) for low, high in (*points, *bounds)]

    @cached_property
    def fit(self) -> CensoredFit:
        """The slope with its interval."""
        return self.regression.fit()

    @property
    def recipe_columns(self) -> Array | None:
        """Recipe indicators by row, [rows, effects]; None: recipes are no fixed effects."""
        if not self.row_set.recipes_differ:
            return None
        return indicators([row.recipe for row in self.rows])


def censored_halving_time(row_set: RowSet, with_line: bool = True) -> HalvingTime:
    """Fit the interval-censored regression of log2 of compute on date.

    It takes all dated rows whose compute is known or bounded.  ``with_line=False`` skips the line
    and its band, which take most of the time.  Raises UserError for fewer than three rows, or if
    all have the same date.
    """
    taken = CensoredRows.from_row_set(row_set)
    fit, rows = taken.fit, taken.rows
    days = [row.day for row in rows]
    months = (max(days) - min(days)) / DAYS_PER_MONTH
    slope = fit.slope_per_month
    first = min(rows, key=lambda row: (row.day, row.compute or math.inf))
    return HalvingTime(
        **censored_rates(fit),
        end_points_months=None,
        reduction_factor=None if slope is None else power_of_two(-slope * months),
        r_squared=None,
        n=fit.n,
        n_arrived=fit.n_arrived,
        method="censored",
        variant="all",
        **slope_parts(rows, slope, taken.recipe_columns),
        scatter=None if slope is None else fit.scatter,
        scatter_is_bound=fit.scatter <= fit.least_scatter * (1 + AT_FLOOR),
        seed_scatter=fit.seed_scatter,
        target_error=row_set.target_error,
        **shared_fields(row_set, rows),
        line=()
        if slope is None or not with_line
        else _line(taken.regression, min(days), max(days)),
        rows=result_rows(row_set.rows, rows, first.compute),
        notes=row_set.notes,
    )


def censored_rates(fit: CensoredFit) -> dict[str, Any]:
    """Return the fields of ``halving.line_rates`` for this fit."""
    return {
        "halving_months": fit.halving_months,
        "low_months": fit.low_months,
        "high_months": fit.high_months,
        "doubling_months": fit.doubling_months,
        "verdict": fit.verdict,
        "slope_per_month": fit.slope_per_month,
        "slope_low_per_month": fit.slope_low_per_month,
        "slope_high_per_month": fit.slope_high_per_month,
    }


def _line(regression: CensoredRegression, first: int, last: int) -> tuple[dict[str, Any], ...]:
    """Return the line and its band from the first to the last day.

    If every row is a point, the square of the band's half-width is a parabola in the date
    (``regression.Line.half_width``).  The band is therefore computed at three dates and
    interpolated.
    """
    known = [regression.height(day / DAYS_PER_MONTH) for day in (first, (first + last) / 2, last)]
    days = band_days(first, last)
    centres = [height.centre for height in known if height.centre is not None]
    centre = np.interp(days, [first, last], [centres[0], centres[-1]])
    low, high = (_edge(known, centre, days, side) for side in (-1, 1))
    return tuple(
        {
            "date": date.fromordinal(day).isoformat(),
            "compute": power_of_two(centre[i]),
            "low": None if low is None else power_of_two(low[i]),
            "high": None if high is None else power_of_two(high[i]),
        }
        for i, day in enumerate(days)
    )


def _edge(known: Sequence[Height], centre: Array, days: Sequence[int], side: int) -> Array | None:
    """Return one side of the band; None if it is open at any of the three dates."""
    ends = [height.low if side < 0 else height.high for height in known]
    squares = [
        (end - height.centre) ** 2
        for end, height in zip(ends, known, strict=True)
        if end is not None and height.centre is not None
    ]
    if len(squares) < len(known):
        return None
    at = np.linspace(-1, 1, len(known))
    place = 2 * (np.array(days) - days[0]) / (days[-1] - days[0]) - 1
    parabola = np.polyval(np.polyfit(at, squares, 2), place)
    return np.asarray(centre + side * np.sqrt(np.maximum(parabola, 0.0)))
