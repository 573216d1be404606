"""The accuracy that the baseline reaches, which becomes the target of the other networks."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence

from efficiency_bench.errors import UserError
from efficiency_bench.identity import RowKey, form_scale, form_size, row_key
from efficiency_bench.records import Entry, Metric, Target
from efficiency_bench.stop_rule import chance_level, metric_of_entry

CHANCE_STANDARD_ERRORS = 10.0
"""How far above chance a baseline must be to have learned.

A baseline at chance would let every other network reach the target at its first evaluation.
"""

DISAGREEMENT_STANDARD_ERRORS = 3.0
"""How far apart the baseline's seeds may be: one stuck seed would lower the target for all."""

LADDER_RECIPE = "small_2020"
"""The recipe of the ladder's baseline.  A run that sets its own target has the recipe that
``target.baseline_recipe`` names instead."""

log = logging.getLogger(__name__)


def is_baseline(entry: Entry) -> bool:
    """Return whether the entry is a run of the baseline over its whole schedule.

    That is a run that set its own target, or a rung with a budget of 1 of the baseline's network at
    scale 1 with ``LADDER_RECIPE``, trained on all training images.
    """
    return entry.sets_target or _is_whole_rung(entry)


def _is_whole_rung(entry: Entry) -> bool:
    asked, data = entry.config.get("target"), entry.config.get("data")
    if not isinstance(asked, Mapping) or not isinstance(data, Mapping):
        return False
    named = (entry.model, entry.recipe) == (asked.get("baseline_model"), LADDER_RECIPE)
    whole = entry.budget_asked == 1 and not data.get("inner_split")
    return named and whole and form_scale(entry) == 1


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
    size: tuple[float, float | None] = (1.0, None),
) -> Target:
    """Return the target that the baseline sets: the mean final accuracy over its seeds.

    Uses the measured entries of this ``size`` (``identity.form_size``), model, recipe, data digest
    and metric that set their own target and finished their schedule; where there are none, the
    ladder's baseline (``is_baseline``).  The tolerance is 0 and their run ids are recorded.  A
    warning names the runs that ended otherwise.  ``command`` is the command that measures a
    baseline, for messages.

    Raises UserError if there is no baseline run, or if the baseline is unusable:

    - its level ``p`` is not above chance ``c`` (1/classes for top-1, 5/classes for top-5) by ten
      standard errors ``sqrt(c (1 - c) / val_images)``;
    - its runs belong to several rows, with different schedules or rates, which share no level;
    - two seeds differ by more than three standard errors ``sqrt(p (1 - p) / val_images)``.  With
      ten thousand images at 79 %, seeds may differ by 1.2 points.
    """
    own = _own_schedules(entries, model, recipe, data_digest, metric, size)
    finished = _finished(own)
    for entry in own:
        if entry not in finished:
            log.warning(
                "baseline run %s ended as %s: not part of the target",
                entry.run_id,
                entry.end_reason,
            )
    if not finished:
        spoiled = f" ({len(own)} ended before its schedule did)" if own else ""
        raise UserError(
            f"no finished {model} run with recipe {recipe} on this data{spoiled}, "
            f"so there is no target\nmeasure it: {command}; or set one: target.value=0.6"
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


def baseline_finals(
    entries: Iterable[Entry], data_digest: str | None, metric: Metric
) -> dict[str, float]:
    """Return the final accuracy of each baseline run that finished its schedule, by run id.

    Their mean is the level of ladders.  Runs with ``LADDER_RECIPE`` set it alone, if there are any;
    a seed that was run twice counts once.
    """
    found = [
        entry
        for entry in sorted(entries, key=lambda e: (not e.sets_target, e.run_id))
        if entry.tier == "measured" and entry.data_digest == data_digest
        if is_baseline(entry) and metric_of_entry(entry) == metric and _finished([entry])
    ]
    own = [entry for entry in found if entry.recipe == LADDER_RECIPE]
    seeds: dict[int | None, Entry] = {}
    for entry in own or found:
        seeds.setdefault(entry.seed, entry)
    return {e.run_id: e.evaluations[-1].accuracy(metric) for e in seeds.values()}


def least_learned(metric: Metric, classes: int, val_images: int) -> float:
    """Return the accuracy over which a baseline has learned: ten standard errors over chance."""
    chance = chance_level(metric, classes)
    return chance + CHANCE_STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / val_images)


def uses_current_baseline(entry: Entry, entries: Iterable[Entry]) -> bool:
    """Return whether the target of ``entry`` comes from the baseline runs now in ``entries``.

    True if its target came from elsewhere.  A run measured against an older baseline stays in the
    ledger; its configuration now describes a different run.
    """
    if entry.target is None or entry.target.source != "baseline":
        return True
    asked = entry.config["target"]
    own = _own_schedules(
        entries,
        asked["baseline_model"],
        asked["baseline_recipe"],
        entry.data_digest,
        entry.target.metric,
        form_size(entry),
    )
    return entry.target.baseline_run_ids == tuple(e.run_id for e in _finished(own))


def _finished(own: Iterable[Entry]) -> list[Entry]:
    """Return the runs that finished their schedule, which define the baseline's level."""
    return [e for e in own if e.end_reason == "schedule" and e.evaluations]


def _own_schedules(
    entries: Iterable[Entry],
    model: str,
    recipe: str,
    data_digest: str | None,
    metric: Metric,
    size: tuple[float, float | None],
) -> list[Entry]:
    """Return the baseline runs ordered by run id, so that the mean ignores file order."""
    runs = [
        e
        for e in sorted(entries, key=lambda e: e.run_id)
        if e.tier == "measured"
        and (e.model, e.data_digest, metric_of_entry(e)) == (model, data_digest, metric)
        and form_size(e) == size
    ]
    own = [e for e in runs if e.sets_target and e.recipe == recipe]
    return own if _finished(own) else own + [e for e in runs if _is_whole_rung(e)]


def _check_one_row(finished: Sequence[Entry]) -> None:
    """Raise UserError for runs of several rows: their mean would be the level of none of them."""
    rows: dict[RowKey, list[str]] = {}
    for entry in finished:
        rows.setdefault(row_key(entry), []).append(entry.run_id)
    if len(rows) > 1:
        listed = "; ".join(", ".join(ids) for ids in rows.values())
        raise UserError(
            f"the baseline was run in {len(rows)} configurations: {listed}\n"
            "the target is the mean over the seeds of one; keep one in this ledger, use another"
            " with ledger_dir=DIR, or set a target: target.value=0.6"
        )


def _checked_level(
    finished: Sequence[Entry], metric: Metric, classes: int, val_images: int
) -> float:
    finals = [e.evaluations[-1].accuracy(metric) for e in finished]
    level = math.fsum(finals) / len(finals)
    seen = ", ".join(f"{e.run_id} {a:.2%}" for e, a in zip(finished, finals, strict=True))
    way_out = "change its recipe or remove the runs that failed; or set a target: target.value=0.6"

    needed = least_learned(metric, classes, val_images)
    if level <= needed:
        chance = chance_level(metric, classes)
        raise UserError(
            f"the baseline has not learned: {metric} {level:.2%}, chance is {chance:.2%} and a "
            f"target needs more than {min(needed, 1.0):.2%} ({seen})\n{way_out}"
        )
    spread = max(finals) - min(finals)
    allowed = DISAGREEMENT_STANDARD_ERRORS * math.sqrt(level * (1 - level) / val_images)
    if spread > allowed:
        raise UserError(
            f"the baseline's seeds disagree: {metric} differs by {spread:.2%}, at most "
            f"{allowed:.2%} is allowed ({seen})\n{way_out}"
        )
    return level
