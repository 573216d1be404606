"""The cost of a run from its event log, and values derived from an entry's cost and clocks.

A value that depends on something unknown is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from efficiency_bench.ledger.history import Event
from efficiency_bench.records import Cost, Entry

SECONDS_PER_HOUR = 3600

UNKNOWN = "unknown"
"""Prefix of ``energy_source`` if the energy was not measured."""


def cost_of(events: Sequence[Event]) -> Cost | None:
    """Return the cost from a complete log; None if the log is older than the cost fields.

    Peak and price come from the ``start`` event.  Energy is known if every attempt that contributes
    to the result was measured; repeated energy, if every attempt was.
    """
    attempts = [e["cost"] for e in events if e["event"] in ("start", "resume") and "cost" in e]
    start = next((e for e in events if e["event"] == "start"), {})
    end = next((e for e in events if e["event"] == "end"), {})
    if "cost" not in start:
        return None
    sources = [attempt["energy_source"] for attempt in attempts]
    known = "energy_joules" in end
    repeated = None
    if known and not any(source.startswith(UNKNOWN) for source in sources):
        repeated = sum(attempt.get("lost_energy_joules", 0.0) for attempt in attempts)
    return Cost(
        compile_seconds=sum(e["seconds"] for e in events if e["event"] == "compiled"),
        peak_flops_per_second=start["cost"]["peak"]["flops_per_second"],
        peak_method=start["cost"]["peak"]["method"],
        energy_joules=end.get("energy_joules"),
        evaluation_energy_joules=end.get("evaluation_energy_joules"),
        repeated_energy_joules=repeated,
        energy_source=_source(sources, known),
        price_usd_per_hour=start["cost"]["price_usd_per_hour"],
        notes=_distinct([*(note for a in attempts for note in a["notes"]), *_halts(events, known)]),
    )


def _halts(events: Sequence[Event], energy_known: bool) -> list[str]:
    """Return a note on how long the process was stopped in all attempts, if it ever was."""
    seconds = [event["seconds"] for event in events if event["event"] == "halted"]
    if not seconds:
        return []
    energy = ", but the energy used meanwhile is counted" if energy_known else ""
    return [
        f"the process was stopped for {sum(seconds):.1f} s in all (SIGSTOP, a suspended job),"
        f" which is on no clock{energy}"
    ]


def latest_energy(events: Sequence[Event]) -> float | None:
    """Return the last training energy in a log, in joules; None if it has none."""
    logged = (account["energy_joules"] for e in reversed(events) if (account := _energy_in(e)))
    return next(logged, None)


def _energy_in(event: Event) -> Mapping[str, Any]:
    kind = event["event"]
    account = event["cost"] if kind == "resume" and "cost" in event else event
    account = event["reached"] if kind == "repair" and "reached" in event else account
    return account if "energy_joules" in account else {}


def _source(sources: Sequence[str], known: bool) -> str:
    if known:
        return "; ".join(_distinct(sources))
    failed = f"{UNKNOWN}: the counter failed on the way"
    return next((source for source in sources if source.startswith(UNKNOWN)), failed)


def _distinct(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


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
