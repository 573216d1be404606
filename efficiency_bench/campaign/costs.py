"""What one attempt at a run writes down about its cost when it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from efficiency_bench.campaign.energy import EnergyAccount, open_meter
from efficiency_bench.campaign.prepared import Prepared
from efficiency_bench.campaign.processes import this_process
from efficiency_bench.ledger.costs import UNKNOWN

PROFILED = "profiled: seconds are not representative"

UNMEASURED = f"{UNKNOWN}: an earlier attempt was not measured"


def begin_cost(run: Prepared, hardware: Mapping[str, Any]) -> tuple[EnergyAccount, dict[str, Any]]:
    """The account of energy, and the ``cost`` field of the ``start`` or ``resume`` event."""
    meter, source = open_meter(run.config.device, this_process())
    notes = [PROFILED] if run.config.profile else []
    fields: dict[str, Any] = {"energy_source": source, "notes": notes}
    if run.peak is not None:
        fields |= {"peak": asdict(run.peak), "price_usd_per_hour": run.config.price_usd_per_hour}
        return EnergyAccount(meter, 0.0, 0.0), fields
    assert run.earlier is not None
    start = next(e for e in run.earlier.events.events if e["event"] == "start")
    notes += _changes(run, start, hardware)
    taken_up = run.earlier.energy
    if meter is None or taken_up is None:
        fields["energy_source"] = UNMEASURED if meter else source
        return EnergyAccount(None, 0.0, 0.0), fields
    account = (taken_up[name] for name in ("energy_joules", "evaluation_energy_joules"))
    return EnergyAccount(meter, *account), fields | taken_up


def _changes(run: Prepared, start: Mapping[str, Any], hardware: Mapping[str, Any]) -> list[str]:
    """What makes one number of seconds or dollars speak of two machines."""
    notes = []
    if start["provenance"]["hardware"] != hardware:
        notes.append("taken up on other hardware: seconds are of both")
    price, first = run.config.price_usd_per_hour, start.get("cost", {}).get("price_usd_per_hour")
    if price != first:
        notes.append(f"taken up at {price} USD an hour: dollars are at the first price, {first}")
    return notes
