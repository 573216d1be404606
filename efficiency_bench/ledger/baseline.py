"""The baseline's own level, which becomes the target of the other networks."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence

from efficiency_bench.errors import UserError
from efficiency_bench.identity import RowKey, row_key
from efficiency_bench.records import Entry, Metric, Target
from efficiency_bench.stop_rule import chance_level

CHANCE_STANDARD_ERRORS = 10.0
"""How far above chance a baseline must be to have learned.

A net that stayed at chance would let every other one arrive at its first evaluation.
"""

DISAGREEMENT_STANDARD_ERRORS = 3.0
"""How far apart a baseline's seeds may lie: one stuck seed would lower the level for all."""

log = logging.getLogger(__name__)


def baseline_target(
    entries: Iterable[Entry],
    *,
    model: str,
    recipe: str,
    data_digest: str,
    metric: Metric,
    classes: int,
    val_images: int,
    confirmations: int,
    command: str,
) -> Target:
    """The mean over seeds of the final accuracy of ``model``'s own finished schedules.

    Taken are measured entries of this model, recipe, data digest and metric that set their
    own target and ran to the schedule's end; tolerance 0, run ids recorded.  Runs that ended
    otherwise are named in a warning.  ``command`` is what measures a baseline.

    Raises UserError where there is none, and where it has not learned:

    - the level is not above chance ``c`` (1/classes for top-1, 5/classes for top-5) by ten
      standard errors ``sqrt(c (1 - c) / val_images)``;
    - its runs are of more than one row, by another schedule or rate, which have no common level;
    - two seeds differ by more than three standard errors ``sqrt(p (1 - p) / val_images)`` at
      the level ``p``.  Ten thousand images at 79 % allow 1.2 points between seeds.
    """
    own = _own_schedules(entries, model, recipe, data_digest, metric)
    finished = _finished(own)
    for entry in own:
        if entry not in finished:
            log.warning(
                "baseline run %s ended as %s: left out of the level", entry.run_id, entry.end_reason
            )
    if not finished:
        spoiled = f" ({len(own)} ended before its schedule did)" if own else ""
        raise UserError(
            f"no finished {model} run with recipe {recipe} on this data{spoiled}, "
            f"so no level to reach\nmeasure it: {command}; or set one: target.value=0.6"
        )
    _check_one_row(finished)
    level = _checked_level(finished, metric, classes, val_images)
    return Target(
        metric=metric,
        value=level,
        tolerance=0.0,
        confirmations=confirmations,
        source="baseline",
        baseline_run_ids=tuple(e.run_id for e in finished),
    )


def held_to_todays_baseline(entry: Entry, entries: Iterable[Entry]) -> bool:
    """Whether ``entry`` was held to the baseline runs that ``entries`` hold now.

    True where its target came from elsewhere.  A run measured to an older level stays in the
    ledger as what it is; what its configuration asks for today is another run.
    """
    if entry.target.source != "baseline":
        return True
    asked = entry.config["target"]
    own = _own_schedules(
        entries,
        asked["baseline_model"],
        asked["baseline_recipe"],
        entry.data_digest,
        entry.target.metric,
    )
    return entry.target.baseline_run_ids == tuple(e.run_id for e in _finished(own))


def _finished(own: Iterable[Entry]) -> list[Entry]:
    """Those that came to their schedule's end, and so say what level the baseline has."""
    return [e for e in own if e.end_reason == "schedule" and e.evaluations]


def _own_schedules(
    entries: Iterable[Entry], model: str, recipe: str, data_digest: str | None, metric: Metric
) -> list[Entry]:
    """Baseline runs in order of run id, so that the mean does not depend on file order."""
    own = (
        e
        for e in entries
        if e.tier == "measured"
        and (e.model, e.recipe, e.data_digest) == (model, recipe, data_digest)
        and e.target.source == "own_schedule"
        and e.target.metric == metric
    )
    return sorted(own, key=lambda e: e.run_id)


def _check_one_row(finished: Sequence[Entry]) -> None:
    """Raise UserError for runs of several rows: their mean would be the level of none."""
    rows: dict[RowKey, list[str]] = {}
    for entry in finished:
        rows.setdefault(row_key(entry), []).append(entry.run_id)
    if len(rows) > 1:
        listed = "; ".join(", ".join(ids) for ids in rows.values())
        raise UserError(
            f"the baseline was run in {len(rows)} configurations: {listed}\n"
            "a level is the mean over seeds of one; keep one in this ledger, name another with"
            " ledger_dir=DIR, or set a level: target.value=0.6"
        )


def _checked_level(
    finished: Sequence[Entry], metric: Metric, classes: int, val_images: int
) -> float:
    finals = [e.evaluations[-1].accuracy(metric) for e in finished]
    level = math.fsum(finals) / len(finals)
    seen = ", ".join(f"{e.run_id} {a:.2%}" for e, a in zip(finished, finals, strict=True))
    way_out = "change its recipe or remove the runs that failed; or set a level: target.value=0.6"

    chance = chance_level(metric, classes)
    needed = chance + CHANCE_STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / val_images)
    if level <= needed:
        raise UserError(
            f"the baseline has not learned: {metric} {level:.2%}, chance is {chance:.2%} and a "
            f"target needs more than {min(needed, 1.0):.2%} ({seen})\n{way_out}"
        )
    spread = max(finals) - min(finals)
    allowed = DISAGREEMENT_STANDARD_ERRORS * math.sqrt(level * (1 - level) / val_images)
    if spread > allowed:
        raise UserError(
            f"the baseline's seeds disagree: {metric} differs by {spread:.2%}, allowed are "
            f"{allowed:.2%} ({seen})\n{way_out}"
        )
    return level
