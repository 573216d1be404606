"""Compute to any threshold, read from the learning curves that the entries carry."""

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
    """One entry with its curve unpacked once, to be asked at many thresholds."""

    entry: Entry
    curve: LearningCurve
    best: float
    """Highest accuracy of the curve, a fraction."""
    schedule_over: bool
    """Whether the curve goes to the schedule's end, where no confirmation can follow."""

    @property
    def is_baseline(self) -> bool:
        """Whether the run set its own target."""
        return self.entry.sets_target

    def spent(self, currency: Currency) -> float:
        """Compute of the whole run."""
        segments = self.entry.segments
        return paper3x_tfs_days(segments) if currency == "paper3x" else exact_flops(segments)


@dataclass(frozen=True)
class RowsAt:
    """The rows of a fit with their compute to another threshold."""

    rows: tuple[FitRow, ...]
    censored: int
    """Runs that never crossed it."""
    left_censored: int
    """Runs already over it at their first evaluation: their compute is an upper bound."""
    runs: int


def unpacked(entries: Iterable[Entry]) -> dict[str, CurveRun]:
    """Run id -> run, for entries with a curve of the target's metric and a counted network."""
    return {entry.run_id: _run(entry) for entry in entries if entry.segments and _has_curve(entry)}


def target_at(target: Target, threshold: float) -> Target:
    """``target`` moved to another accuracy (a fraction), which counts to the digit."""
    return target.model_copy(update={"value": threshold, "tolerance": 0.0})


def compute_at(
    run: CurveRun, target: Target, crossing: Crossing, currency: Currency
) -> tuple[float | None, bool]:
    """Compute to ``target`` in the currency's unit (None: never), and whether it is a bound.

    The baseline is treated as any other run: it is charged its own crossing.  A run that is
    over the target at its first evaluation crossed it at an unknown earlier time, and its
    images up to there are an upper bound.  Raises UserError for the currencies of a machine.
    """
    if currency in OF_A_MACHINE:
        raise UserError(
            f"another accuracy is read in compute only: paper3x or exact, not {currency}"
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
    """``rows`` with the geometric mean of their runs' compute to ``target``.

    Seeds that never cross leave the mean, as in a fit at the target itself; a row whose runs
    have no curve is left out.
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
    """The row at the ``computes`` of seeds that cross and what those that do not have spent.

    A baseline that is charged its own crossing is a row like any other.
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
    """Whether there are evaluations, each with the metric (top-5 needs five classes)."""
    if entry.target is None:
        return False
    top5_wanted = entry.target.metric == "top5"
    found = entry.evaluations
    return bool(found) and not (top5_wanted and any(e.top5 is None for e in found))


def _run(entry: Entry) -> CurveRun:
    curve, over = entry_curve(entry)
    return CurveRun(entry, curve, max(curve.accuracies), over)
