"""The horizon of a network from its budgeted trials in a ledger, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from efficiency_bench.fitting.horizon import Horizon, Trial, horizon
from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Entry


@dataclass(frozen=True)
class HorizonCost:
    """What the shortest arriving schedule costs, whole, in one currency's unit."""

    horizon: Horizon
    compute: float | None
    """None: no horizon was found."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval; None where it is open."""


def trial_family(entry: Entry) -> str | None:
    """What the trials of one search share: their configuration but the schedule's length.

    Runs of before configurations were kept have only their digest.
    """
    recipe = entry.config.get("recipe")
    if not isinstance(recipe, dict):
        return entry.config_digest
    plain: dict[str, Any] = {**entry.config, "recipe": {**recipe, "epochs": None}}
    return digest_json({k: v for k, v in plain.items() if k not in ("seed", "repeat", "threads")})


def entries_horizon(entries: Sequence[Entry]) -> Horizon:
    """The horizon from trials of one family that came to their schedules' ends.

    Lengths are the epochs really trained, which whole steps round.
    """
    trials = [
        Trial(entry.epochs, last.accuracy(entry.target.metric), last.val_images)
        for entry in entries
        if entry.end_reason == "schedule" and entry.epochs and entry.evaluations
        for last in entry.evaluations[-1:]
    ]
    return horizon(entries[0].target, trials)


def horizon_cost(entries: Sequence[Entry], whole: Callable[[Entry], float | None]) -> HorizonCost:
    """The cost at the horizon; ``whole`` is that of one trial.

    Epochs cost alike in schedules of about one length, so the trial of the nearest length gives
    the price of an epoch.
    """
    found = entries_horizon(entries)
    priced = [(e.epochs, cost / e.epochs) for e in entries if e.epochs and (cost := whole(e))]

    def at(epochs: float | None) -> float | None:
        if not epochs or not priced:
            return None
        _, price = min(priced, key=lambda p: max(p[0] / epochs, epochs / p[0]))
        return price * epochs

    return HorizonCost(found, at(found.epochs), at(found.low_epochs), at(found.high_epochs))
