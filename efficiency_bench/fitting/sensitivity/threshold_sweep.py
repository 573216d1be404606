"""The halving time at any threshold, from curves or ladders measured for one target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import Crossing, Currency
from efficiency_bench.fitting.fit_row import RowSet
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import Method, Variant, Verdict
from efficiency_bench.fitting.headline import (
    FitOrReason,
    LineThrough,
    MethodChoice,
    choose_method,
    fit_or_reason,
)
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.fitting.sensitivity.curves import (
    CurveRun,
    RowsAt,
    rows_at,
    runs_with_curves,
    target_at,
)
from efficiency_bench.records import Entry, Estimand, Metric, Record, Tier

WANTED_THRESHOLDS = 20
"""Most thresholds without an explicit step: as many lines as fit on a terminal."""

MOST_THRESHOLDS = 500
"""Most thresholds with an explicit step; more suggest a misplaced decimal point."""

LEAST_STEP = 1e-6
"""Smallest step: a twentieth of one image among ImageNet's 50,000."""

NEARLY_A_STEP = 1e-3
"""Fraction of a step by which rounding may miss the end, which then replaces the last value."""

LADDERS_SHARE_RUNS = (
    "all levels are read from the same ladders: they are one curve, not independent measurements"
)

ROUND_STEPS = (1.0, 2.0, 2.5, 5.0)
"""Mantissas of round steps."""


class SweepRow(Record):
    """The fit at one threshold."""

    threshold: float
    """Accuracy, a fraction."""
    halving_months: float | None
    low_months: float | None
    high_months: float | None
    doubling_months: float | None
    reduction_factor: float | None
    n: int
    """Number of fitted rows."""
    censored: int
    """Runs that never reached the threshold; for ladders, rows."""
    left_censored: int
    """Runs above the threshold at their first evaluation, so that compute is an upper bound; for
    ladders, rows of which every budget reached it."""
    runs: int
    """Number of runs; for ladders, rows."""
    variant: Variant | None
    verdict: Verdict | None
    reason: str | None
    """Why there is no fit."""


class ThresholdSweep(Record):
    """Fits at several thresholds, with notes for the reader."""

    data: str
    data_digest: str | None
    metric: Metric
    own_target: float
    """The target that the runs were trained to, a fraction."""
    estimand: Estimand
    tier: Tier
    method: Method
    currency: str
    crossing: Crossing
    rows: tuple[SweepRow, ...]
    notes: tuple[str, ...]


def parse_sweep(text: str) -> tuple[float, float, float | None]:
    """Parse ``LOW:HIGH`` or ``LOW:HIGH:STEP``, fractions; raises UserError for anything else."""
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        raise UserError(_usage(f"the sweep {text!r} is invalid"))
    low, high, *step = numbers
    thresholds(low, high, *step)
    return low, high, step[0] if step else None


def thresholds(low: float, high: float, step: float | None = None) -> tuple[float, ...]:
    """Return thresholds from ``low`` to ``high``, both included; fractions.

    The default ``step`` is the smallest round one that gives at most twenty thresholds.  Raises
    UserError for values that are not fractions or in the wrong order, and for more than 500
    thresholds.
    """
    if not 0 < low <= high < 1:
        percent = 1 < high <= 100
        hint = f" (percent? {low / 100:g}:{high / 100:g})" if percent else ""
        raise UserError(
            _usage(f"the sweep {low:g}:{high:g} is invalid: 0 < LOW <= HIGH < 1 is required{hint}")
        )
    if step is None:
        step = _round_step(high - low)
    elif not LEAST_STEP <= step < 1:
        raise UserError(_usage(f"step {step:g} is invalid: it must be from {LEAST_STEP:g} to 1"))
    if (high - low) / step > MOST_THRESHOLDS:
        raise UserError(_usage(f"step {step:g} gives more than {MOST_THRESHOLDS} thresholds"))
    if low == high:
        return (high,)
    count = math.ceil((high - low) / step - NEARLY_A_STEP)
    return (low, *(round(low + i * step, 12) for i in range(1, count)), high)


def sweep(
    entries: Sequence[Entry],
    selection: Selection,
    low: float,
    high: float,
    step: float | None = None,
    *,
    method: Method | None = None,
    variant: Variant | None = None,
    crossing: Crossing = "sustained",
    currency: Currency = "paper3x",
) -> ThresholdSweep:
    """Fit the halving time at every threshold from ``low`` to ``high`` (fractions).

    At each threshold, every run is charged up to the crossing of its own curve, including the
    baseline.  The runs' own target is added if it lies in the range.  Rows without curves
    (published ones) are fitted only at their own target.  Raises UserError for an invalid range,
    or unless exactly one group matches.
    """
    wanted = thresholds(low, high, step)
    row_set = fit_rows(entries, selection, crossing=crossing, currency=currency)
    choice = choose_method(row_set, method, variant)
    budgeted = row_set.group.estimand == "budgeted"
    ids = {run_id for row in row_set.rows for run_id in row.run_ids}
    runs = {} if budgeted else runs_with_curves(entry for entry in entries if entry.run_id in ids)
    own = row_set.target.value
    if budgeted:

        def read_at(value: float) -> RowSet:
            named = replace(selection, target=value, estimand="budgeted")
            return fit_rows(entries, named, crossing=crossing, currency=currency)

        values = _with_own(wanted, own)
        rows = tuple(_ladders_at(read_at(value), choice) for value in values)
    elif runs:
        values = _with_own(wanted, own)
        rows = tuple(_row_at(row_set, runs, value, choice) for value in values)
    else:
        rows = (_own_level(row_set, choice),) if low <= own <= high else ()
    return ThresholdSweep(
        data=row_set.group.data,
        data_digest=row_set.group.data_digest or None,
        metric=row_set.target.metric,
        own_target=own,
        estimand=row_set.group.estimand,
        tier=row_set.group.tier,
        method=choice.method,
        currency=row_set.compute_unit,
        crossing=crossing,
        rows=rows,
        notes=(
            *((LADDERS_SHARE_RUNS,) if budgeted else _notes(row_set, runs, len(ids))),
            *(f"at {own:.6g}: {note}" for note in row_set.notes),
        ),
    )


def _fitted(row_set: RowSet, choice: MethodChoice) -> FitOrReason:
    line: LineThrough = "censored" if choice.method == "censored" else "least squares"
    return fit_or_reason(row_set, choice.variant, line)


def _ladders_at(row_set: RowSet, choice: MethodChoice) -> SweepRow:
    at = RowsAt(
        row_set.rows,
        censored=sum(not row.reached for row in row_set.rows),
        left_censored=sum(row.censoring == "below" for row in row_set.rows),
        runs=len(row_set.rows),
    )
    return _sweep_row(row_set.target.value, _fitted(row_set, choice), at)


def _with_own(wanted: Sequence[float], own: float) -> list[float]:
    """Return the thresholds, with the runs' own target added if it lies between them."""
    if not wanted[0] <= own <= wanted[-1]:
        return list(wanted)
    return sorted([*(value for value in wanted if not math.isclose(value, own)), own])


def _row_at(
    row_set: RowSet, runs: dict[str, CurveRun], value: float, choice: MethodChoice
) -> SweepRow:
    target = target_at(row_set.target, value)
    at = rows_at(row_set.rows, runs, target, row_set.crossing, row_set.currency)
    if at.left_censored and at.left_censored == at.runs - at.censored:
        reason = "every run that reached it was above it at its first evaluation"
        return _sweep_row(value, FitOrReason(reason=reason), at)
    return _sweep_row(value, _fitted(replace(row_set, rows=at.rows), choice), at)


def _own_level(row_set: RowSet, choice: MethodChoice) -> SweepRow:
    runs = sum(row.seeds for row in row_set.rows)
    missed = runs - sum(row.reached_seeds for row in row_set.rows)
    at = RowsAt(row_set.rows, censored=missed, left_censored=0, runs=runs)
    return _sweep_row(row_set.target.value, _fitted(row_set, choice), at)


def _sweep_row(value: float, fit: FitOrReason, at: RowsAt) -> SweepRow:
    return SweepRow(
        threshold=value,
        censored=at.censored,
        left_censored=at.left_censored,
        runs=at.runs,
        **fit.model_dump(),
    )


def _notes(row_set: RowSet, runs: dict[str, CurveRun], ids: int) -> list[str]:
    own = f"{row_set.target.metric} {row_set.target.value:.6g}"
    if not runs:
        return [f"these rows have no learning curves and are fitted only at their own level, {own}"]
    notes = []
    if len(runs) < ids:
        notes.append(f"{ids - len(runs)} runs without a curve or MAC counts are left out")
    if any(run.is_baseline for run in runs.values()):
        notes.append(
            "the baseline is charged its own crossing, like any other network; "
            "at the target itself `fit` charges it the whole schedule"
        )
    if any(run.entry.end_reason == "target" for run in runs.values()):
        notes.append(
            f"runs stop once they reach their target ({own}): above it they are mostly censored"
        )
    return notes


def _round_step(span: float) -> float:
    least = max(span / (WANTED_THRESHOLDS - 1), LEAST_STEP)
    decade = 10.0 ** math.floor(math.log10(least))
    return next(m * decade for m in (*ROUND_STEPS, 10.0) if m * decade >= least * (1 - 1e-9))


def _usage(problem: str) -> str:
    return f"{problem}\ngive fractions LOW:HIGH or LOW:HIGH:STEP: fit --sweep 0.5:0.93"
