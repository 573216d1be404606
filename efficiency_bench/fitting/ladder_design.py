"""Simulated ladders of a planned or finished measurement, with a known true rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.censored_regression import STATED_MONTHS, probability_below
from efficiency_bench.fitting.interval_likelihood import Outcomes, maximise
from efficiency_bench.fitting.ladder import Ladder, plausible_levels
from efficiency_bench.fitting.regression import CONFIDENCE, Array
from efficiency_bench.target_crossing import isotonic

STEEPNESS_SPREAD = 0.5
"""Standard deviation between rows, log2, of the accuracy gained per doubling of compute."""

DRAWS = 2000
"""Gives a probability of one half a standard error of 1.1 points."""

DRAWS_AT_ONCE = 500
"""Draws that are fitted together, to limit memory."""

SEED = 2020
"""Fixed, so that every call uses the same draws."""


@dataclass(frozen=True)
class LadderDesign:
    """The design of a measurement: rows with dates and rungs, and the baseline's seeds."""

    months: tuple[float, ...]
    """Date of each row."""
    budgets: tuple[tuple[float, ...], ...]
    """Rungs of each row, ascending shares of the baseline's compute; empty for the baseline."""
    baseline: int
    """Index of the row that sets the level; its compute is exactly 1."""
    baseline_seeds: int = 5
    seed_scatter: float = 0.2
    """Standard deviation of final accuracy between seeds, in units of the accuracy gained per
    doubling of compute in a typical row."""

    def __post_init__(self) -> None:
        """Raise UserError for an inconsistent design."""
        if len(self.months) != len(self.budgets) or not 0 <= self.baseline < len(self.months):
            raise UserError(
                f"a design of {len(self.months)} dates, {len(self.budgets)} ladders and baseline "
                f"{self.baseline} is invalid: every row needs both, and the baseline is a row\n"
                "give one date and one ladder per row"
            )


@dataclass(frozen=True)
class Rejection:
    """The probability that a stated halving time is rejected at 5 %."""

    months: float | None
    """None: compute does not change."""
    chance: float


def simulate(
    design: LadderDesign, slope: float, scatter: float, draws: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Return both ends of log2 of compute to target, [draws, levels, rows]; infinite where open.

    Compute to target follows a line of ``slope`` (log2 per month), and rows scatter about it by
    ``scatter`` (log2).  That includes the baseline: compute is relative to the baseline's, so its
    deviation shifts all other rows.  Final accuracies scatter by seed, ``Ladder`` reads the rungs,
    and the levels are the ``plausible_levels`` of the baseline's seeds.
    """
    ends = np.array([_draw(design, slope, scatter, generator) for _ in range(draws)])
    return ends[:, 0], ends[:, 1]


def _draw(
    design: LadderDesign, slope: float, scatter: float, generator: np.random.Generator
) -> Array:
    """Return both ends of one draw, [2, levels, rows]."""
    months = np.array(design.months)
    logs = slope * months + generator.normal(0, scatter, len(months))
    logs -= logs[design.baseline]
    # accuracies are relative to the true level, in doublings of compute of a typical row
    finals = generator.normal(0, design.seed_scatter, design.baseline_seeds)
    levels = plausible_levels(finals.tolist())
    ends = np.zeros((2, len(levels), len(months)))
    for row, (log, budgets) in enumerate(zip(logs, design.budgets, strict=True)):
        if row != design.baseline:
            steepness = 2.0 ** generator.normal(0, STEEPNESS_SPREAD)
            noise = generator.normal(0, design.seed_scatter, len(budgets))
            reached = steepness * (np.log2(budgets) - log) + noise
            ones = (1,) * len(budgets)
            rungs = Ladder(budgets, tuple(reached), tuple(isotonic(reached, ones)), ones)
            ends[:, :, row] = rungs.log2_compute_to(levels)
    return ends


def slope_probabilities(
    months: Sequence[float], low: Array, high: Array, slopes: Sequence[Array | float]
) -> Array:
    """Return ``CensoredRegression.probability_below`` for many draws at once, [slopes, draws].

    ``low`` and ``high`` [draws, levels, rows] are those of ``simulate``.  A slope is a number, log2
    per month, or an array with one value per draw.
    """
    dates = np.array(months)
    scale = float(dates.std())
    date = (dates - dates.mean()) / scale
    design = np.column_stack([np.ones(len(date)), date])
    parts = [
        _probabilities(design, scale, low[part], high[part], [_of(s, part) for s in slopes])
        for part in _parts(len(low))
    ]
    return np.concatenate(parts, axis=1)


def _parts(draws: int) -> Iterator[slice]:
    for start in range(0, draws, DRAWS_AT_ONCE):
        yield slice(start, min(start + DRAWS_AT_ONCE, draws))


def _of(slope: Array | float, part: slice) -> Array:
    if isinstance(slope, np.ndarray):
        return slope[part]
    return np.full(part.stop - part.start, slope)


def _probabilities(
    design: Array, scale: float, low: Array, high: Array, slopes: Sequence[Array]
) -> Array:
    draws, levels, rows = low.shape
    outcomes = Outcomes.from_ends(low.reshape(-1, rows), high.reshape(-1, rows))
    best = maximise(design, outcomes)
    closed = (np.isfinite(outcomes.low) & np.isfinite(outcomes.high)).sum(axis=1)
    found = []
    for slope in slopes:
        scaled = np.repeat(slope * scale, levels)
        there = maximise(design[:, :1], outcomes.minus(scaled[:, None] * design[:, 1]))
        below = probability_below(
            np.sign(scaled - best.coefficients[:, 1]),
            best.log_likelihood - there.log_likelihood,
            closed,
            design.shape[1],
        )
        found.append(below.reshape(draws, levels).mean(axis=1))
    return np.array(found)


def chances_to_reject(
    design: LadderDesign, true_months: float | None, scatter: float, draws: int = DRAWS
) -> tuple[Rejection, ...]:
    """Return how often this design rejects 16 months, 24 months and no change.

    ``true_months``: the true halving time; None: compute does not change.  ``scatter``: standard
    deviation of rows, log2 of compute.  Raises UserError for ``true_months`` of 0 or less.
    """
    if true_months is not None and true_months <= 0:
        raise UserError(
            f"a halving time of {true_months} months is invalid: it must be positive\n"
            "give the fitted halving time, or None for no change"
        )
    slope = _slope(true_months)
    low, high = simulate(design, slope, scatter, draws, np.random.default_rng(SEED))
    below = slope_probabilities(design.months, low, high, [_slope(m) for m in STATED_MONTHS])
    return tuple(
        Rejection(months, float(rejected(share).mean()))
        for months, share in zip(STATED_MONTHS, below, strict=True)
    )


def rejected(below: Array) -> Array:
    """Return whether a slope is outside the 95 % interval, given the probability below it."""
    return np.asarray(np.abs(2 * below - 1) > CONFIDENCE)


def _slope(months: float | None) -> float:
    return 0.0 if months is None else -1 / months
