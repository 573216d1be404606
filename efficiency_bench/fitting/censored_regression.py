"""Interval-censored regression: the halving time from all rows, whether or not they reached.

``log2 C_ij = a + d * date_i + u_i + e_ij``: row ``i`` deviates from the line by ``u_i``, and seed
``j`` deviates from its row by ``e_ij``.  Compute is known as an interval (a ladder of budgets), a
point, or a bound.  The halving time is ``-1 / d``.

The confidence interval follows the profile likelihood.  Its drop ``D`` below the maximum is
converted to the t statistic that has the same drop if every row is a point:

    t^2 = (N - p) (exp(2 D / N) - 1)

with ``p`` fixed effects and ``N`` rows bounded on both sides.  It is compared with Student's t
with ``N - p`` degrees of freedom.  Without censoring, this is exactly least squares with its
t-interval.  A row that is open on one side says little about the scatter and is not counted:
counting it lowered coverage from 94 to 92 % in the design of
``benchmarks/estimator_coverage.py`` (scatter 0.8, 50 months, little seed scatter).

A measured target has an error.  Rows are then given at several equally probable levels, and the
probability of each slope is averaged over the fits at these levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.halving import LEAST_ROWS, MOORE_MONTHS, PAPER_2020_MONTHS, Verdict
from efficiency_bench.fitting.interval_likelihood import Maximum, Outcomes, maximise
from efficiency_bench.fitting.random_intercept import GroupedMaximum, maximise_grouped
from efficiency_bench.fitting.regression import CONFIDENCE, Array

STATED_MONTHS = (float(PAPER_2020_MONTHS), float(MOORE_MONTHS), None)
"""Halving times, months, against which a fit is tested; None: compute does not change."""

ENDS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
"""Probability of a slope below each of the two ends of the interval."""

FLAT = 1e-3
"""Drop in log likelihood.  The slope is not identified if an extreme slope fits within this of the
best."""

EXTREME = 100.0
"""The extreme slope, log2 of compute per standard deviation of the dates.  An end of an interval
further than this from the best fit is open."""

MORE_ROWS = "measure more: efficiency-bench train experiment=resnet18"


@dataclass(frozen=True)
class StatedRate:
    """A test of the fitted slope against a stated halving time."""

    months: float | None
    """None: compute does not change."""
    p_value: float
    """Two-sided."""


@dataclass(frozen=True)
class Height:
    """The fitted line at one date, log2 of compute."""

    months: float
    centre: float | None
    """None: the line is not identified."""
    low: float | None
    high: float | None
    """95 % interval of the line, not of a new row; None where open."""


@dataclass(frozen=True)
class CensoredFit:
    """The result of the regression: slope, interval, scatter and tests."""

    slope_per_month: float | None
    """log2 of compute per month; None: not identified (for example, no row reached the target)."""
    slope_low_per_month: float | None
    slope_high_per_month: float | None
    """95 % interval; None where open."""
    column_effects: tuple[float, ...]
    """Effect of each further column, log2 of compute."""
    scatter: float
    """Standard deviation of rows about the line, log2 of compute, by maximum likelihood."""
    least_scatter: float
    """Smallest scatter that the data can resolve: that of values uniform within the intervals.
    A ``scatter`` equal to it is an upper bound."""
    seed_scatter: float | None
    """Standard deviation of seeds about their row; None: no row has two seeds, and ``scatter``
    contains both."""
    n: int
    """Rows whose compute is known or bounded; the seeds of a row count once."""
    n_arrived: int
    """Rows of which at least one run reached the target."""
    n_closed: int
    """Rows bounded on both sides."""
    log_likelihood: float
    tests: tuple[StatedRate, ...]
    """Against 16 and 24 months and no change."""

    @property
    def halving_months(self) -> float | None:
        """None: compute does not fall, or the slope is not identified."""
        slope = self.slope_per_month
        return -1 / slope if slope is not None and slope < 0 else None

    @property
    def doubling_months(self) -> float | None:
        """Months until compute has doubled; None: it does not rise."""
        slope = self.slope_per_month
        return 1 / slope if slope is not None and slope > 0 else None

    @property
    def low_months(self) -> float | None:
        """Fast end of the halving time's interval; 0: open; None: the whole interval rises."""
        if self.slope_low_per_month is None:
            return 0.0
        return -1 / self.slope_low_per_month if self.slope_low_per_month < 0 else None

    @property
    def high_months(self) -> float | None:
        """Slow end; None: the slope's interval contains 0 or rises, so no halving is shown."""
        slope = self.slope_high_per_month
        return -1 / slope if slope is not None and slope < 0 else None

    @property
    def verdict(self) -> Verdict:
        """The verdict from the slope's sign and interval."""
        rises = (self.slope_per_month or 0.0) > 0
        if self.high_months is not None:
            return "halving"
        if self.slope_low_per_month is not None and self.slope_low_per_month > 0:
            return "doubling"
        return "not shown to halve, doubling" if rises else "not shown to halve"


class CensoredRegression:
    """The likelihood of one set of rows, at each level of the target."""

    def __init__(
        self,
        months: Sequence[float],
        low: Array,
        high: Array,
        *,
        groups: Sequence[str] | None = None,
        columns: Array | None = None,
    ) -> None:
        """Take the observations.

        ``months`` [observations] are dates.  ``low`` and ``high`` are log2 of compute,
        [observations] or [levels, observations]: equal for a point, infinite where open.  Levels
        are equally probable and odd in number; the middle one is the measured target.  ``groups``
        names the row of each observation if rows have seeds, or its architecture if there are
        several recipes; None: each observation is a row.  ``columns`` [observations, effects]
        are fixed effects other than intercept and date, such as ``indicators`` of recipes.

        Raises UserError for invalid intervals, fewer than three rows, a single date, or columns
        that are collinear with the date or with each other.
        """
        low, high = np.atleast_2d(low).astype(float), np.atleast_2d(high).astype(float)
        _check(low, high)
        informative = np.flatnonzero((np.isfinite(low) | np.isfinite(high)).any(axis=0)).tolist()
        names = [str(i) for i in range(low.shape[1])] if groups is None else [*map(str, groups)]
        # the grouped likelihood requires the observations of a group to be adjacent
        order = sorted(informative, key=lambda i: (names[i], i))
        dates = np.asarray(months, dtype=float)[order]
        extra = np.zeros((len(order), 0)) if columns is None else np.asarray(columns)[order]
        self._rows = np.unique([names[i] for i in order], return_inverse=True)[1]
        self._check_rows(dates)
        self._origin, self._scale = float(dates.mean()), float(dates.std())
        self._design = np.column_stack(
            [np.ones(len(dates)), (dates - self._origin) / self._scale, extra - extra.mean(axis=0)]
        )
        if np.linalg.matrix_rank(self._design) < self._design.shape[1]:
            raise UserError(
                "the fixed effects are collinear with each other or with the date\n"
                "fit one recipe only: efficiency-bench fit --recipe small_2020"
            )
        ends = np.stack([low[:, order], high[:, order]], axis=1)
        distinct, self._which, counts = np.unique(
            ends, axis=0, return_inverse=True, return_counts=True
        )
        self._weights = counts / counts.sum()
        self._middle = int(self._which[len(low) // 2])
        finite = ends[np.isfinite(ends)]
        self._offset = float(finite.mean())
        self._outcomes = Outcomes.from_ends(*np.moveaxis(distinct - self._offset, 1, 0))

    def _check_rows(self, dates: Array) -> None:
        count = len(np.unique(self._rows))
        if count < LEAST_ROWS:
            raise UserError(
                f"a fit needs at least {LEAST_ROWS} rows whose compute is known or bounded; "
                f"here are {count}\n{MORE_ROWS}"
            )
        if np.ptp(dates) == 0:
            raise UserError(
                f"all {count} rows have the same date: a rate requires at least two\n{MORE_ROWS}"
            )

    @property
    def has_seeds(self) -> bool:
        """Whether some row has two observations, so that the scatter of seeds is identified."""
        return len(self._rows) > len(np.unique(self._rows))

    @property
    def slope_per_month(self) -> float | None:
        """Slope, log2 of compute per month; None: not identified."""
        return self._slope if self._identified else None

    def fit(self) -> CensoredFit:
        """Return the slope with its interval and tests."""
        best, middle = self._best, self._middle
        return CensoredFit(
            slope_per_month=self.slope_per_month,
            slope_low_per_month=self._slope_at(ENDS[0]),
            slope_high_per_month=self._slope_at(ENDS[1]),
            column_effects=tuple(best.coefficients[middle, 2:].tolist()),
            scatter=float(best.scatter[middle]),
            least_scatter=float(self._outcomes.least_scatter[middle]),
            seed_scatter=float(best.within[middle]) if isinstance(best, GroupedMaximum) else None,
            n=len(np.unique(self._rows)),
            n_arrived=int(self._bounded(self._outcomes.high)[middle].sum()),
            n_closed=int(self._closed_rows[middle]),
            log_likelihood=float(best.log_likelihood[middle]),
            tests=tuple(StatedRate(m, self.p_value(m)) for m in STATED_MONTHS),
        )

    def probability_below(self, slope: float) -> float:
        """Return the probability of a slope below ``slope``, log2 of compute per month."""
        scaled = slope * self._scale
        level, date, *extra = self._design.T
        return self._probability(
            date, np.column_stack([level, *extra]), scaled, self._best.coefficients[:, 1]
        )

    def p_value(self, months: float | None) -> float:
        """Return the two-sided p-value of a halving time; None: compute does not change."""
        below = self.probability_below(0.0 if months is None else -1 / months)
        return 2 * min(below, 1 - below)

    def height(self, months: float) -> Height:
        """Return the line at a date with its 95 % interval; further columns are at their mean."""
        at = (months - self._origin) / self._scale
        level, date, *extra = self._design.T
        others = np.column_stack([date - at, *extra])
        centres = self._best.coefficients[:, 0] + at * self._best.coefficients[:, 1]

        def below(value: float) -> float:
            return self._probability(level, others, value, centres)

        centre, step = float(centres[self._middle]), self._step * (1 + abs(at))
        low, high = (_quantile(below, share, centre, step, EXTREME) for share in ENDS)
        return Height(
            months=months,
            centre=centre + self._offset if self._identified else None,
            low=None if low is None else low + self._offset,
            high=None if high is None else high + self._offset,
        )

    def _probability(self, fixed: Array, others: Array, value: float, centres: Array) -> float:
        """Return the probability that the coefficient of the column ``fixed`` is below ``value``.

        ``others`` [observations, columns] are the remaining columns of the design; ``centres``
        [levels] are the best estimates of the coefficient.
        """
        there = self._maximise(others, self._outcomes.minus(value * fixed)).log_likelihood
        drop = self._best.log_likelihood - there
        below = probability_below(
            np.sign(value - centres), drop, self._closed_rows, self._between_columns
        )
        return float(self._weights @ below)

    def _maximise(self, design: Array, outcomes: Outcomes) -> Maximum:
        if not self.has_seeds:
            return maximise(design, outcomes)
        near = self.__dict__.get("_best")
        return maximise_grouped(design, outcomes, self._rows, near)

    @cached_property
    def _best(self) -> Maximum:
        return self._maximise(self._design, self._outcomes)

    @cached_property
    def _closed_rows(self) -> NDArray[np.intp]:
        """[levels], number of rows that their observations bound on both sides."""
        below, above = self._bounded(self._outcomes.low), self._bounded(self._outcomes.high)
        return np.asarray((below & above).sum(axis=1))

    def _bounded(self, ends: Array) -> NDArray[np.bool_]:
        """Return whether an end is finite for any observation of the row, [levels, rows]."""
        starts = np.flatnonzero(np.diff(self._rows, prepend=-1))
        return np.asarray(np.logical_or.reduceat(np.isfinite(ends), starts, axis=1))

    @property
    def _step(self) -> float:
        """First step of a search: about one standard error, log2 of compute."""
        return float(self._best.scatter[self._middle]) / math.sqrt(len(self._design))

    @cached_property
    def _identified(self) -> bool:
        level, date, *extra = self._design.T
        others = np.column_stack([level, *extra])
        best = self._best.log_likelihood[self._middle]
        for slope in (-EXTREME, EXTREME):
            moved = self._outcomes.minus(slope * date).subset(np.array([self._middle]))
            if best - maximise(others, moved).log_likelihood[0] < FLAT:
                return False
        return True

    @cached_property
    def _between_columns(self) -> int:
        """Number of fixed effects that vary between rows; a recipe that all rows share does not."""
        sizes = np.bincount(self._rows)
        means = [np.bincount(self._rows, column) / sizes for column in self._design.T]
        return int(np.linalg.matrix_rank(np.array(means)))

    @property
    def _slope(self) -> float:
        return float(self._best.coefficients[self._middle, 1]) / self._scale

    def _slope_at(self, probability: float) -> float | None:
        """Return the slope at this probability; None if there is none (an open end)."""
        step = self._step / self._scale
        return _quantile(
            self.probability_below, probability, self._slope, step, EXTREME / self._scale
        )


def indicators(names: Sequence[str]) -> Array:
    """Return indicator columns of the names, without the first: [observations, names - 1]."""
    return np.array([[float(name == other) for other in sorted(set(names))[1:]] for name in names])


def probability_below(sign: Array, drop: Array, closed: NDArray[np.intp], columns: int) -> Array:
    """Return the probability of a slope below a given one, from its likelihood; all [fits].

    ``sign``: sign of (given slope - best slope); ``drop``: how far the log likelihood at the given
    slope lies below the maximum; ``closed``: rows bounded on both sides; ``columns``: number of
    fixed effects.
    """
    freedom = np.maximum(closed - columns, 1)
    with np.errstate(over="ignore"):
        t = np.sqrt(freedom * np.expm1(2 * np.maximum(drop, 0.0) / (freedom + columns)))
    return np.asarray(stdtr(freedom, sign * t))


def _quantile(
    below: Callable[[float], float], probability: float, start: float, step: float, most: float
) -> float | None:
    """Return where the increasing function ``below`` equals ``probability``.

    The search starts at ``start`` with a step of ``step`` and doubles it; None if there is no
    solution within ``most`` of ``start``.
    """
    from scipy.optimize import brentq

    inside = start
    way = 1 if below(start) < probability else -1
    while abs(inside - start) < most:
        outside = inside + way * step
        if way * (below(outside) - probability) >= 0:
            return float(
                brentq(lambda x: below(x) - probability, inside, outside, xtol=step * 1e-7)
            )
        inside, step = outside, 2 * step
    return None


def _check(low: Array, high: Array) -> None:
    wrong = ~(low <= high) | (low == np.inf) | (high == -np.inf)
    if wrong.any():
        first = tuple(np.argwhere(wrong)[0])
        raise UserError(
            f"compute from 2^{low[first]:g} to 2^{high[first]:g} is invalid: "
            "the upper end must not be below the lower end\n"
            "check the entries: efficiency-bench verify"
        )
