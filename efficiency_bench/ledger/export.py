"""The listed fields of an entry, and the ledger in the columns of OpenAI's leaderboard."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from efficiency_bench.formatting import cell
from efficiency_bench.identity import RowKey, form_scale, row_key, setting
from efficiency_bench.ledger.costs import COSTS
from efficiency_bench.records import Entry

ENTRY_FIELDS = (
    "run_id",
    "experiment",
    "model",
    "recipe",
    "data",
    "seed",
    "tier",
    "end_reason",
    "reached",
    "target",
    "images",
    "epochs",
    "steps",
    "forward_macs",
    "paper3x_tfs_days",
    "exact_flops",
    "paper3x_to_target_tfs_days",
    "first_crossing_epochs",
    "sustained_crossing_epochs",
    "first_epoch_at_target",
    "weights_digest",
    "date",
    "source",
    "estimand",
    "budget",
    "budget_asked",
)
"""Listed fields that are fields of the entry."""

SETTINGS = ("scale", "inner_split", "recipe_lr")
"""Listed fields from the run's configuration."""

ROW_FIELDS = (*ENTRY_FIELDS, *SETTINGS, *COSTS)
"""The keys of ``ledger list --json`` in order; fixed, since other people's scripts use them."""


def row(entry: Entry) -> dict[str, Any]:
    """Return the entry's listed fields as JSON values; ``target`` has its metric and value.

    It is null for a budgeted run without a target.
    """
    fields = {name: getattr(entry, name) for name in ENTRY_FIELDS}
    target = entry.target
    fields["target"] = target and {"metric": target.metric, "value": target.value}
    fields |= _settings(entry)
    return fields | {name: value(entry) for name, value in COSTS.items()}


def _settings(entry: Entry) -> dict[str, Any]:
    """Return the values of ``SETTINGS``; None where no run's configuration was recorded."""
    if entry.tier != "measured" or not isinstance(entry.config.get("recipe"), Mapping):
        return dict.fromkeys(SETTINGS)
    inner_split = _number_at(entry.config, "data.inner_split") or 0.0
    rate = _number_at(entry.config, "recipe.optimizer.lr")
    return dict(zip(SETTINGS, (form_scale(entry), inner_split, rate), strict=True))


def _number_at(config: Mapping[str, Any], key: str) -> float | None:
    """Return a number of a configuration; None if it is not there, or anything else is."""
    found = setting(config, key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


OPENAI_COLUMNS = (
    "Metric",
    "Publication Date",
    "Publication",
    "Publication link",
    "Compute (teraflops-s/days)",
    "Reduction Factor",
    "Analysis",
    "Analysis link",
)
"""Header of ``efficiency_sota.csv`` in github.com/openai/ai-and-efficiency."""

BASELINE_MODEL = "alexnet"
"""The reduction factors of the leaderboard are relative to it."""


@dataclass(frozen=True)
class Export:
    """A CSV text, and the entries left out of it with the reason."""

    text: str
    left_out: tuple[str, ...]


def openai(entries: Sequence[Entry]) -> Export:
    """Return the entries as CSV in the columns of OpenAI's leaderboard.

    One line for each entry that was trained to its target, reached it and has a date; ``left_out``
    lists the others.
    """
    left_out: list[str] = []
    lines = []
    baselines = _baseline_computes(entries)
    for entry in entries:
        if entry.estimand == "budgeted":
            left_out.append(f"{entry.run_id}: a budgeted trial, charged its whole schedule")
        elif entry.paper3x_to_target_tfs_days is None:
            left_out.append(f"{entry.run_id}: did not reach its target")
        elif entry.date is None:
            left_out.append(f"{entry.run_id}: has no date")
        else:
            compute = entry.paper3x_to_target_tfs_days
            lines.append(_openai_line(entry, compute, baselines.get(_level(entry))))
    return Export(_to_csv(OPENAI_COLUMNS, lines), tuple(left_out))


def _openai_line(entry: Entry, compute: float, baseline: float | None) -> dict[str, Any]:
    published = date.fromisoformat(entry.date or "")
    factor = "" if baseline is None or compute == 0 else f"{baseline / compute:.3g}"
    return dict(
        zip(
            OPENAI_COLUMNS,
            (
                _level_name(entry),
                f"{published.month}/{published.day}/{published.year}",
                entry.experiment or f"{entry.model} {entry.recipe}",
                _link(entry.config),
                f"{compute:.4g}",
                factor,
                f"efficiency-bench {entry.run_id}",
                "",
            ),
            strict=True,
        )
    )


def _level(entry: Entry) -> tuple[object, ...]:
    """Return what two entries must share for a ratio of their compute to make sense."""
    target = entry.known_target
    # a baseline's own run does not record the level that its seeds set together
    from_baseline = target.source in ("own_schedule", "baseline")
    value = None if from_baseline else target.value
    return entry.data, entry.data_digest, target.metric, value, entry.tier, entry.estimand


def _level_name(entry: Entry) -> str:
    target = entry.known_target
    if (entry.data, target.metric, target.value) == ("imagenet", "top5", 0.791):
        return "AlexNet"  # the leaderboard's name for it
    return f"{entry.data} {target.metric} {target.value:.4g}"


def _baseline_computes(entries: Iterable[Entry]) -> dict[tuple[object, ...], float]:
    """Return level -> geometric mean of the baseline's compute over its seeds, in tfs-days.

    If the baseline's network has several rows, the one that set the level counts, else the oldest.
    """
    rows: dict[tuple[object, ...], dict[RowKey, list[Entry]]] = {}
    for entry in entries:
        if entry.model == BASELINE_MODEL and entry.paper3x_to_target_tfs_days:
            rows.setdefault(_level(entry), {}).setdefault(row_key(entry), []).append(entry)
    return {level: _mean_compute(min(of.values(), key=_rank)) for level, of in rows.items()}


def _rank(seeds: Sequence[Entry]) -> tuple[bool, str]:
    return not seeds[0].sets_target, seeds[0].date or "9999"


def _mean_compute(seeds: Sequence[Entry]) -> float:
    logs = [math.log(entry.paper3x_to_target_tfs_days or 0.0) for entry in seeds]
    return math.exp(math.fsum(logs) / len(logs))


def _link(config: Mapping[str, Any]) -> str:
    model = config.get("model")
    paper = model.get("paper", "") if isinstance(model, Mapping) else ""
    return paper if str(paper).startswith("http") else ""


def _to_csv(columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in line.items()} for line in lines)
    return text.getvalue()
