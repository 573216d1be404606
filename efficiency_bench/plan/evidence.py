"""Estimates a run's epochs to the target and its probability of reaching it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import beta

from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.identity import IMAGENET, row_date, row_settings
from efficiency_bench.ledger.reference import ALEXNET_LEVEL, published_entries
from efficiency_bench.records import Entry
from efficiency_bench.run.target import is_baseline


@dataclass(frozen=True)
class Epochs:
    """Epochs to the target, and the source of that estimate."""

    epochs: float
    source: Literal["published", "ledger", "schedule"]
    """``schedule``: the full schedule, since unknown; a baseline and a budget train all of it."""


@dataclass(frozen=True)
class Chance:
    """How many runs of this row reached the target, and the 95 % interval of that probability."""

    arrived: int
    runs: int
    low: float
    high: float


def epochs_to_target(config: RunConfig, entries: Iterable[Entry]) -> Epochs:
    """Epochs from table 3 of 2020, else the mean of the row's runs, else the full schedule."""
    schedule_epochs = config.recipe.epochs
    if is_baseline(config) or config.estimand == "budgeted":
        return Epochs(schedule_epochs, "schedule")
    published = _published_epochs(config)
    if published is not None and published <= schedule_epochs:
        return Epochs(published, "published")
    own = [entry for entry in of_row(config, entries) if entry.reached]
    crossings = [e.sustained_crossing_epochs for e in own if e.sustained_crossing_epochs]
    if crossings:
        return Epochs(math.fsum(crossings) / len(crossings), "ledger")
    return Epochs(schedule_epochs, "schedule")


def chance_to_arrive(config: RunConfig, entries: Iterable[Entry]) -> Chance | None:
    """Jeffreys interval over the row's runs in the ledger; None without runs or for a baseline.

    Beta(k + 1/2, n - k + 1/2), with bounds 0 and 1 if no run or every run reached the target
    (Brown, Cai and DasGupta 2001, Statistical Science 16).  A baseline sets the target itself.
    """
    judged = [e.reached for e in of_row(config, entries) if e.reached is not None]
    if is_baseline(config) or not judged:
        return None
    arrived, runs = sum(judged), len(judged)
    ends = beta.ppf((0.025, 0.975), arrived + 0.5, runs - arrived + 0.5)
    low = 0.0 if arrived == 0 else float(ends[0])
    high = 1.0 if arrived == runs else float(ends[1])
    return Chance(arrived, runs, low, high)


def of_row(config: RunConfig, entries: Iterable[Entry]) -> Sequence[Entry]:
    """Measured runs with the row's configuration; data digests are not compared."""
    wanted = row_settings(measured_part(config))
    return [e for e in entries if e.tier == "measured" and row_settings(e.config) == wanted]


def _published_epochs(config: RunConfig) -> float | None:
    """Epochs of table 3 for the same network, recipe and level on all of ImageNet, else None.

    A recipe newer than the network is not the recipe of 2020.
    """
    data, target = config.data, config.target
    whole_imagenet = data.name in IMAGENET and data.train_images is None
    level = (target.metric, target.value) == (ALEXNET_LEVEL.metric, ALEXNET_LEVEL.value)
    as_published = row_date(measured_part(config)) == config.model.published
    if not (whole_imagenet and level and as_published):
        return None
    rows = {entry.model: entry.epochs for entry in published_entries()}
    return rows.get(config.model.name)
