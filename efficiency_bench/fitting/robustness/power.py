"""Power: the probability that the rows reject a stated halving time if the fitted one is true."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtri, ndtr

from efficiency_bench.fitting.fit_row import FitRow
from efficiency_bench.fitting.halving import MOORE_MONTHS, PAPER_2020_MONTHS
from efficiency_bench.fitting.ladder_design import LadderDesign, chances_to_reject
from efficiency_bench.fitting.regression import t_quantile
from efficiency_bench.records import Record

STATED_MONTHS = (float(PAPER_2020_MONTHS), float(MOORE_MONTHS))
"""Halving times to reject, months: the 2020 paper's and Moore's law."""

POWER = 0.8
"""Power that is sufficient by convention (Cohen 1988, "Statistical power analysis")."""

QUANTILES = 1000
"""Quantiles of the scatter in the average over it: accurate to three digits."""

MOST_ROWS = 200
"""Largest number of further rows that is tried."""

SPAN_MONTHS = 60.0
"""Period after the last row over which further rows are spread evenly."""

DRAWS = 400
"""Simulated ladders; they give a power of one half a standard error of 2.5 points."""


class RatePower(Record):
    """The power to reject one stated halving time at 5 %, if the fitted one is true."""

    months: float
    """The stated halving time."""
    power: float
    """Power with the present rows."""
    further_rows: int | None
    """Smallest number of further rows over the next five years for 80 %; None: more than 200."""


def rate_powers(
    slope: float, variance: float, months: Sequence[float], power: Sequence[float] | None = None
) -> tuple[RatePower, ...]:
    """Return the power to reject 16 and 24 months.

    ``slope``: the fitted slope, log2 per month; ``variance``: of present and further rows about the
    line; ``months``: dates of the rows.  ``power``: power with the present rows, if a better value
    than that of Student's t is known.
    """
    now = power or [t_power(slope, -1 / stated, variance, months) for stated in STATED_MONTHS]
    return tuple(
        RatePower(
            months=stated,
            power=chance,
            further_rows=0 if chance >= POWER else _further(slope, -1 / stated, variance, months),
        )
        for stated, chance in zip(STATED_MONTHS, now, strict=True)
    )


def _further(true: float, stated: float, variance: float, months: Sequence[float]) -> int | None:
    last = max(months)

    def enough(more: int) -> bool:
        added = [last + SPAN_MONTHS * (i + 1) / more for i in range(more)]
        return t_power(true, stated, variance, [*months, *added]) >= POWER

    return next((more for more in range(1, MOST_ROWS + 1) if enough(more)), None)


def t_power(true: float, stated: float, variance: float, months: Sequence[float]) -> float:
    """Return the probability that a fit rejects the slope ``stated`` at 5 % if ``true`` holds.

    It follows Student's noncentral t; the noncentrality is the difference of the slopes over the
    slope's standard error.
    """
    if variance == 0:
        return float(true != stated)
    mean = math.fsum(months) / len(months)
    spread = math.fsum((month - mean) ** 2 for month in months)
    shift = (true - stated) / math.sqrt(variance / spread)
    limit = t_quantile(len(months) - 2)
    return beyond(limit, shift, len(months) - 2) + beyond(limit, -shift, len(months) - 2)


def beyond(limit: float, shift: float, freedom: int) -> float:
    """Return P(T > limit) for Student's t with ``freedom`` degrees and noncentrality ``shift``.

    T is (normal + shift) over an estimated scatter.  The probability is averaged over a thousand
    quantiles of that scatter, since scipy's noncentral t fails far out.
    """
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    scatter = np.sqrt(chdtri(freedom, 1 - shares) / freedom)
    return float(ndtr(shift - limit * scatter).mean())


def ladder_power(rows: Sequence[FitRow], slope: float, scatter: float) -> list[float] | None:
    """Return the power to reject 16 and 24 months, from simulated ladders of these rows.

    None if there is no baseline among the rows, or if compute does not fall.
    """
    base = [i for i, row in enumerate(rows) if row.is_baseline and row.compute]
    if len(base) != 1 or slope >= 0 or not all(row.ladders or row.is_baseline for row in rows):
        return None
    whole = rows[base[0]].known_compute
    ladders = [next(iter(row.ladders.values()), None) for row in rows]
    design = LadderDesign(
        months=tuple(row.months for row in rows),
        budgets=tuple(
            () if ladder is None else tuple(budget / whole for budget in ladder.budgets)
            for ladder in ladders
        ),
        baseline=base[0],
        baseline_seeds=rows[base[0]].seeds,
    )
    found = {r.months: r.chance for r in chances_to_reject(design, -1 / slope, scatter, DRAWS)}
    return [found[stated] for stated in STATED_MONTHS]
