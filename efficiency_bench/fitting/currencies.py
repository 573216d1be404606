"""The currencies of a fit: compute, or seconds, joules and dollars on one kind of machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.costs import dollars, energy_joules, train_seconds
from efficiency_bench.records import Entry

Crossing = Literal["first", "sustained"]
Currency = Literal["paper3x", "exact", "seconds", "energy", "dollars"]

UNITS: Mapping[str, str] = {
    "paper3x": "paper3x_tfs_days",
    "exact": "exact_flops",
    "seconds": "train_seconds",
    "energy": "energy_joules",
    "dollars": "dollars",
}
"""Currency -> the field of ``ledger list`` that has it; its name contains the unit."""

OF_A_MACHINE: Mapping[Currency, Callable[[Entry], float | None]] = {
    "seconds": train_seconds,
    "energy": energy_joules,
    "dollars": dollars,
}
"""Currencies that depend on the machine as much as on the network."""


def whole_cost(entry: Entry, currency: Currency) -> float | None:
    """Return the cost of training in the whole run, in the currency's unit; None: not known."""
    return OF_A_MACHINE[currency](entry)


def whole_compute(entry: Entry, currency: Currency) -> float | None:
    """Return the compute or cost of the whole run, in the currency's unit; None: not known."""
    if currency in OF_A_MACHINE:
        return whole_cost(entry, currency)
    return entry.paper3x_tfs_days if currency == "paper3x" else entry.exact_flops


def cost_to_target(entry: Entry, crossing: Crossing, currency: Currency) -> float | None:
    """Return seconds, joules or dollars of training up to the crossing; None: never crossed.

    Seconds are recorded at every evaluation and interpolated linearly in images between two.
    Energy and dollars are those of the whole run times the share of its training seconds.
    """
    total, seconds = whole_cost(entry, currency), train_seconds(entry)
    if total is None or seconds is None:
        return None
    if entry.sets_target:
        return total if entry.end_reason == "schedule" else None
    images = entry.first_crossing_images
    if crossing == "sustained":
        images = entry.sustained_crossing_images if entry.reached else None
    return None if images is None else total * seconds_at(entry, images) / seconds


def seconds_at(entry: Entry, images: float) -> float:
    """Return training seconds after ``images``, which must not exceed the last evaluation's."""
    before_images, before_seconds = 0.0, 0.0
    for evaluation in entry.evaluations:
        if evaluation.images >= images:
            share = (images - before_images) / (evaluation.images - before_images)
            return before_seconds + share * (evaluation.train_seconds - before_seconds)
        before_images, before_seconds = float(evaluation.images), evaluation.train_seconds
    return before_seconds


def comparable(
    entries: Sequence[Entry], currency: Currency, hardware: str | None
) -> tuple[list[Entry], list[str]]:
    """Return the entries on one kind of machine whose cost is known, and notes on the others.

    ``hardware`` is a part of the machine's name.  Raises UserError if several kinds of machine are
    left, or none has that name.
    """
    left_out: dict[str, list[str]] = {}
    machines: dict[str, list[Entry]] = {}
    for entry in entries:
        if reason := _unusable(entry, currency):
            left_out.setdefault(reason, []).append(entry.run_id)
        else:
            machines.setdefault(machine(entry), []).append(entry)
    notes = [
        f"none of the {len(entries)} runs has {currency} ({reason})"
        if len(ids) == len(entries)
        else f"{len(ids)} runs without {currency}, left out ({reason}): {', '.join(ids)}"
        for reason, ids in left_out.items()
    ]
    asked = hardware or ""
    chosen = [name for name in machines if name == asked]
    chosen = chosen or [name for name in machines if asked.lower() in name.lower()]
    if machines and len(chosen) != 1:
        listed = "".join(
            f"\n  --hardware {name!r}  ({len(runs)} runs)"
            for name, runs in sorted(machines.items())
        )
        problem = "several kinds of machine are" if chosen else f"no machine {asked!r} is"
        raise UserError(
            f"{problem} in this fit; {currency} can be compared on one kind only; choose:{listed}"
        )
    others = [entry.run_id for name in machines if name not in chosen for entry in machines[name]]
    if others:
        notes.append(
            f"on {chosen[0]}; {len(others)} runs on other machines, left out: {', '.join(others)}"
        )
    return [entry for name in chosen for entry in machines[name]], notes


def machine(entry: Entry) -> str:
    """Return the kind of machine: ``cuda NVIDIA H100 x 1``, ``cpu AMD EPYC, 2 threads x 1``."""
    facts = entry.provenance.hardware if entry.provenance else {}
    name = facts.get("card") or f"{facts.get('cpu')}, {facts.get('torch_threads')} threads"
    return f"{facts.get('device')} {name} x {facts.get('processes', 1)}"


def _unusable(entry: Entry, currency: Currency) -> str | None:
    """Return why an entry cannot be used in a fit of ``currency``; None if it can."""
    if entry.tier != "measured":
        return f"{entry.tier} rows have only compute: --currency paper3x"
    if entry.cost is not None and entry.cost.notes:
        return entry.cost.notes[0]
    if whole_cost(entry, currency) is not None:
        return None
    if train_seconds(entry) is None:
        return "no training time recorded"
    if entry.cost is None:
        return "written before costs were recorded"
    if currency == "energy":
        return entry.cost.energy_source
    return "no price: train with price_usd_per_hour=N"
