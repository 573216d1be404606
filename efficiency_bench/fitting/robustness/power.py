"""How much more would have to be measured to tell one halving time from another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtri, ndtr

from efficiency_bench.fitting.regression import Line, t_quantile
from efficiency_bench.records import Record

FAST_MONTHS, SLOW_MONTHS = 12.0, 20.0
"""The two rates to be told apart: either side of 2020's 16 months."""

POWER = 0.8
"""Chance of telling them apart, by convention (Cohen 1988, "Statistical power analysis")."""

QUANTILES = 1000
"""Of the scatter, in the average over it: right to three digits."""

MOST_ROWS = 200
"""Beyond, the table says so instead of counting on."""


class Needed(Record):
    """Further rows for one span of dates."""

    span_months: float
    """Over which the further rows are spread evenly, after the last row fitted."""
    rows: int | None
    """Fewest that reach the power; None: more than 200."""
    power_without: float
    """Chance to tell the two rates apart with the rows at hand."""


def further_rows(
    line: Line, months: Sequence[float], spans_months: Sequence[float] = (24.0, 60.0, 120.0)
) -> tuple[Needed, ...]:
    """Further rows that separate 12 from 20 months at 80 % power, for each span.

    ``months`` are the dates of the fitted rows, ``line`` their fit, whose scatter the further
    rows are taken to have.
    """
    without = power(line, months)
    table = []
    for span in spans_months:
        last = max(months)
        found = None
        for more in range(MOST_ROWS + 1):
            added = [last + span * (i + 1) / more for i in range(more)]
            if power(line, [*months, *added]) >= POWER:
                found = more
                break
        table.append(Needed(span_months=span, rows=found, power_without=without))
    return tuple(table)


def power(line: Line, months: Sequence[float]) -> float:
    """Chance that a fit to rows at ``months`` rejects 20 months at 5 % where 12 are true.

    Student's t, noncentral by the difference of the slopes over the slope's standard error.
    """
    if line.residual_variance == 0:
        return 1.0
    mean = math.fsum(months) / len(months)
    spread = math.fsum((month - mean) ** 2 for month in months)
    error = math.sqrt(line.residual_variance / spread)
    shift = (1 / FAST_MONTHS - 1 / SLOW_MONTHS) / error
    limit = t_quantile(len(months) - 2)
    return beyond(limit, shift, len(months) - 2) + beyond(limit, -shift, len(months) - 2)


def beyond(limit: float, shift: float, freedom: int) -> float:
    """P(T > limit) for Student's t with ``freedom`` degrees, noncentral by ``shift``.

    T is (normal + shift) over a scatter estimated from the rows; averaged here over a thousand
    quantiles of that scatter, since scipy's function has no value far out.
    """
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    scatter = np.sqrt(chdtri(freedom, 1 - shares) / freedom)
    return float(ndtr(shift - limit * scatter).mean())
