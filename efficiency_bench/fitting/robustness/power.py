"""How probably the rows reject a stated halving time if the fitted one is true."""

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
"""Halving times to be rejected: that of 2020 and Moore's law."""

POWER = 0.8
"""Chance to reject that counts as enough, by convention (Cohen 1988, "Statistical power
analysis")."""

QUANTILES = 1000
"""Of the scatter, in the average over it: right to three digits."""

MOST_ROWS = 200
"""Further rows beyond which no number is given."""

SPAN_MONTHS = 60.0
"""Over which further rows are spread evenly, after the last one."""

DRAWS = 400
"""Simulated ladders: a chance of one half is then right to 2.5 points."""


class RatePower(Record):
    """The chance to reject one stated halving time at 5 %, if the fitted one is true."""

    months: float
    """The stated one."""
    power: float
    """With the rows at hand."""
    further_rows: int | None
    """Fewest further rows over the next five years that reach 80 %; None: more than 200."""


def rate_powers(
    slope: float, variance: float, months: Sequence[float], power: Sequence[float] | None = None
) -> tuple[RatePower, ...]:
    """The chances to reject 16 and 24 months.

    ``slope``: the fitted one, log2 per month; ``variance`` of the rows about it, which further rows
    are taken to have; ``months``: dates of the rows.  ``power``: the chances with the rows at hand,
    if they are known better than by Student's t.
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
    """Chance that a fit to rows at ``months`` rejects the slope ``stated`` at 5 % if not true.

    Student's t, noncentral by the difference of the slopes over the slope's standard error.
    """
    if variance == 0:
        return float(true != stated)
    mean = math.fsum(months) / len(months)
    spread = math.fsum((month - mean) ** 2 for month in months)
    shift = (true - stated) / math.sqrt(variance / spread)
    limit = t_quantile(len(months) - 2)
    return beyond(limit, shift, len(months) - 2) + beyond(limit, -shift, len(months) - 2)


def beyond(limit: float, shift: float, freedom: int) -> float:
    """P(T > limit) for Student's t with ``freedom`` degrees, noncentral by ``shift``.

    T is (normal + shift) over a scatter estimated from the rows.  It is averaged over a thousand
    quantiles of that scatter, since scipy's function has no value far out.
    """
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    scatter = np.sqrt(chdtri(freedom, 1 - shares) / freedom)
    return float(ndtr(shift - limit * scatter).mean())


def ladder_power(rows: Sequence[FitRow], slope: float, scatter: float) -> list[float] | None:
    """The chances to reject 16 and 24 months by simulated ladders of these rows.

    None without a baseline among them, or if compute does not fall.
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
