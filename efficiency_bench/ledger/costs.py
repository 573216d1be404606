"""Values derived from an entry's cost and clocks; one that depends on something unknown is None."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from efficiency_bench.records import Entry

SECONDS_PER_HOUR = 3600


def train_seconds(entry: Entry) -> float | None:
    """Return the seconds on the training clock; None without clocks or before the first step."""
    return (entry.clocks.train_seconds or None) if entry.clocks else None


def images_per_second(entry: Entry) -> float | None:
    """Return training images per training second, all processes together."""
    seconds = train_seconds(entry)
    return None if seconds is None or entry.images is None else entry.images / seconds


def achieved_flops_per_second(entry: Entry) -> float | None:
    """Return ``exact_flops`` per training second."""
    seconds = train_seconds(entry)
    return None if seconds is None or entry.exact_flops is None else entry.exact_flops / seconds


def share_of_peak(entry: Entry) -> float | None:
    """Return the achieved rate as a fraction of the matrix-product rate measured at the start."""
    achieved, peak = achieved_flops_per_second(entry), _peak(entry)
    return None if achieved is None or peak is None else achieved / peak


def energy_joules(entry: Entry) -> float | None:
    """Return the training energy, without evaluation."""
    return entry.cost.energy_joules if entry.cost else None


def dollars(entry: Entry) -> float | None:
    """Return the price per hour times the training hours, without evaluation and setup."""
    seconds = train_seconds(entry)
    if seconds is None or entry.cost is None or entry.cost.price_usd_per_hour is None:
        return None
    return entry.cost.price_usd_per_hour * seconds / SECONDS_PER_HOUR


COSTS: Mapping[str, Callable[[Entry], float | None]] = {
    "train_seconds": train_seconds,
    "images_per_second": images_per_second,
    "achieved_flops_per_second": achieved_flops_per_second,
    "share_of_peak": share_of_peak,
    "energy_joules": energy_joules,
    "dollars": dollars,
}
"""Name in a row of ``ledger list`` -> function of an entry."""


def _peak(entry: Entry) -> float | None:
    return entry.cost.peak_flops_per_second if entry.cost else None
