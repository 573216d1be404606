"""Bootstrap intervals: resample rows only, or rows, their seeds and their crossings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficiency_bench.fitting.fit_row import FitRow
from efficiency_bench.fitting.regression import Array
from efficiency_bench.fitting.robustness.crossing_errors import SeedErrors

DRAWS = 4000
"""Draws for a small set; the ends of the 95 % interval of H are then reproducible to 0.1 months."""

MOST_NUMBERS = 2_000_000
"""Most rows times draws in memory; larger sets get fewer draws, and need fewer."""

MOST_ENUMERATED = 6
"""Most rows for which all possible draws are enumerated, 6^6 = 46,656."""

LEAST_DRAWS = 200

SEED = 20200508
"""Fixed, so that every call uses the same draws: the date of the 2020 paper's first version."""


def draws_for(rows: int) -> int:
    """Return the number of draws for a set of ``rows`` rows."""
    return int(min(DRAWS, max(LEAST_DRAWS, MOST_NUMBERS // max(rows, 1))))


def pairs_bootstrap(x: Array, y: Array) -> Array:
    """Return slopes of ``y`` on ``x`` over rows resampled with replacement.

    For up to six rows every possible draw is used once, without random numbers.  Draws with a
    single x have no slope and are left out.
    """
    n = len(x)
    if n <= MOST_ENUMERATED:
        rows = np.indices((n,) * n).reshape(n, -1).T
    else:
        rows = np.random.default_rng(SEED).integers(n, size=(draws_for(n), n))
    return slopes(x[rows], y[rows], np.ones(rows.shape, dtype=bool))


def hierarchical_bootstrap(
    rows: Sequence[FitRow], x: Array, on_frontier: bool, errors: SeedErrors
) -> Array:
    """Return slopes over resampled rows, seeds and crossings.

    A draw resamples the rows with replacement, then the seeds of each row, then the crossing of
    each seed within its own error (normal on the log2 scale).  A row's value is the mean of its
    seeds.  With ``on_frontier``, the running minimum by date is selected again in every draw.
    ``x`` is months by row; every row must have reached the target.  ``errors``: standard errors of
    the crossings.
    """
    generator = np.random.default_rng(SEED)
    draws = draws_for(sum(len(row.seed_computes) for row in rows))
    values = np.stack([_resampled_row(row, draws, errors, generator) for row in rows], axis=1)
    chosen = generator.integers(len(rows), size=(draws, len(rows)))
    drawn_x = x[chosen]
    drawn_y = np.take_along_axis(values, chosen, axis=1)
    if not on_frontier:
        return slopes(drawn_x, drawn_y, np.ones(drawn_x.shape, dtype=bool))
    cheapest_first = np.argsort(drawn_y, axis=1)
    drawn_x, drawn_y, chosen = _ordered(cheapest_first, drawn_x, drawn_y, chosen)
    by_date = np.argsort(drawn_x, axis=1, kind="stable")
    drawn_x, drawn_y, chosen = _ordered(by_date, drawn_x, drawn_y, chosen)
    taken = running_minimum(drawn_y)
    # a row drawn twice is on the frontier twice, as it would be in a fit over all rows
    again = chosen[:, 1:] == chosen[:, :-1]
    taken[:, 1:] |= again & (drawn_y[:, 1:] <= np.minimum.accumulate(drawn_y, axis=1)[:, :-1])
    return slopes(drawn_x, drawn_y, taken)


def running_minimum(y: Array) -> NDArray[np.bool_]:
    """Return which values of each draw are below all earlier ones; fewer than three: all.

    As in the headline's fit, a frontier of fewer than three rows is replaced by all rows.
    """
    best_before = np.minimum.accumulate(y, axis=1)[:, :-1]
    below = np.ones(y.shape, dtype=bool)
    below[:, 1:] = y[:, 1:] < best_before
    below[below.sum(axis=1) < 3] = True
    return below


def _ordered(order: NDArray[np.intp], *arrays: Any) -> list[Any]:
    return [np.take_along_axis(array, order, axis=1) for array in arrays]


def slopes(x: Array, y: Array, taken: NDArray[np.bool_]) -> Array:
    """Return each draw's least-squares slope over its taken points; none for a single x."""
    count = taken.sum(axis=1, keepdims=True)
    dx = np.where(taken, x - np.where(taken, x, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
    spread = (dx * dx).sum(axis=1)
    usable = spread > 1e-9
    # subtract the first y, so that equal values give a slope of exactly 0
    dy = np.where(taken, y - y[:, :1], 0.0)
    return np.asarray((dx * dy).sum(axis=1)[usable] / spread[usable])


def _resampled_row(
    row: FitRow, draws: int, errors: SeedErrors, generator: np.random.Generator
) -> Array:
    """Return log2 of a row's compute in each draw."""
    logs = np.log2(list(row.seed_computes.values()))
    own = np.array([errors.get(run_id, 0.0) for run_id in row.seed_computes])
    seeds = generator.integers(len(logs), size=(draws, len(logs)))
    noise = generator.standard_normal(seeds.shape) * own[seeds]
    return np.asarray((logs[seeds] + noise).mean(axis=1))
