"""Compute to any threshold, from the learning curves in the entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.currencies import OF_A_MACHINE, Crossing, Currency
from efficiency_bench.fitting.fit_row import FitRow, geometric_mean
from efficiency_bench.records import (
    Entry,
    Target,
    exact_flops,
    paper3x_tfs_days,
    segments_until,
)
from efficiency_bench.target_crossing import LearningCurve, crossing_of, entry_curve


@dataclass(frozen=True)
class CurveRun:
    """An entry with its curve, prepared once for many thresholds."""

    entry: Entry
    curve: LearningCurve
    best: float
    """Highest accuracy in the curve, a fraction."""
    schedule_over: bool
    """Whether the run completed its schedule, after which no confirmation can follow."""

    @property
    def is_baseline(self) -> bool:
        """Whether the run set its own target."""
        return self.entry.sets_target

    def spent(self, currency: Currency) -> float:
        """Return the compute of the whole run."""
        segments = self.entry.segments
        return paper3x_tfs_days(segments) if currency == "paper3x" else exact_flops(segments)


@dataclass(frozen=True)
class RowsAt:
    """The rows of a fit with compute to another threshold."""

    rows: tuple[FitRow, ...]
    censored: int
    """Runs that never crossed the threshold."""
    left_censored: int
    """Runs above the threshold at their first evaluation, so that compute is an upper bound."""
    runs: int


def runs_with_curves(entries: Iterable[Entry]) -> dict[str, CurveRun]:
    """Return run id -> run, for entries with MAC counts and a curve of the target's metric."""
    return {entry.run_id: _run(entry) for entry in entries if entry.segments and _has_curve(entry)}


def target_at(target: Target, threshold: float) -> Target:
    """Return ``target`` at another accuracy, a fraction, without tolerance."""
    return target.model_copy(update={"value": threshold, "tolerance": 0.0})


def compute_at(
    run: CurveRun, target: Target, crossing: Crossing, currency: Currency
) -> tuple[float | None, bool]:
    """Return compute to ``target`` (None: never reached), and whether it is an upper bound.

    The baseline is charged up to its own crossing, like any other run.  A run above the target at
    its first evaluation crossed it at an unknown earlier time, so its compute up to there is an
    upper bound.  Raises UserError for seconds, energy and dollars.
    """
    if currency in OF_A_MACHINE:
        raise UserError(
            f"--currency {currency} at another accuracy is invalid: curves give compute only\n"
            "choose --currency paper3x or exact"
        )
    if not target.met_by(run.best):
        return None, False
    images = crossing_of(crossing, target, run.curve, run.schedule_over)
    if images is None:
        return None, False
    segments = segments_until(run.entry.segments, images)
    compute = paper3x_tfs_days(segments) if currency == "paper3x" else exact_flops(segments)
    return compute or None, images <= run.curve.x[0]


def rows_at(
    rows: Sequence[FitRow],
    runs: Mapping[str, CurveRun],
    target: Target,
    crossing: Crossing,
    currency: Currency,
) -> RowsAt:
    """Return ``rows`` with the geometric mean of their runs' compute to ``target``.

    Seeds that never cross are not in the mean, as in a fit at the target itself.  Rows whose runs
    have no curve are left out.
    """
    kept: list[FitRow] = []
    reached = left_censored = total = 0
    for row in rows:
        members = [runs[run_id] for run_id in row.run_ids if run_id in runs]
        if not members:
            continue
        found = [compute_at(run, target, crossing, currency) for run in members]
        pairs = [(run, compute) for run, (compute, _) in zip(members, found, strict=True)]
        computes = {run.entry.run_id: c for run, c in pairs if c is not None}
        missed = {run.entry.run_id: run.spent(currency) for run, c in pairs if c is None}
        kept.append(_moved(row, computes, missed))
        total += len(members)
        reached += len(computes)
        left_censored += sum(bound for _, bound in found)
    return RowsAt(tuple(kept), total - reached, left_censored, total)


def _moved(row: FitRow, computes: Mapping[str, float], missed: Mapping[str, float]) -> FitRow:
    """Return the row with the computes to the new target, and those spent by seeds that missed.

    A baseline charged up to its own crossing is treated like any other row.
    """
    found, spent = list(computes.values()), [c for c in missed.values() if c]
    compute = geometric_mean(found) if found else None
    return replace(
        row,
        compute=compute,
        compute_low=min(found, default=None),
        compute_high=max(found, default=None),
        compute_at_least=geometric_mean([*found, *spent]),
        compute_at_most=None if missed else compute,
        seeds=len(computes) + len(missed),
        reached_seeds=len(computes),
        seed_computes=computes,
        missed_computes={run_id: c for run_id, c in missed.items() if c},
    )


def _has_curve(entry: Entry) -> bool:
    """Return whether there are evaluations and all have the metric (top-5 needs five classes)."""
    if entry.target is None:
        return False
    top5_wanted = entry.target.metric == "top5"
    found = entry.evaluations
    return bool(found) and not (top5_wanted and any(e.top5 is None for e in found))


def _run(entry: Entry) -> CurveRun:
    curve, over = entry_curve(entry)
    return CurveRun(entry, curve, max(curve.accuracies), over)
