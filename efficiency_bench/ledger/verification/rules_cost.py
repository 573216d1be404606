"""Rules about what a run cost: the log's raw numbers give the entry's."""

from __future__ import annotations

from collections.abc import Iterator

from efficiency_bench.ledger.costs import cost_of, latest_energy
from efficiency_bench.ledger.verification.evidence import Evidence
from efficiency_bench.ledger.verification.findings import Failure, Finding, Note, close, equal


def cost(evidence: Evidence) -> Iterator[Finding]:
    """Every part of the cost is the log's; a rate, an energy or a price is itself only noted."""
    log = evidence.read.events if evidence.read else ()
    expected, written = cost_of(log), evidence.entry.cost
    if expected is None or written is None:
        yield from equal("cost", expected, written)
        return
    for name in type(expected).model_fields:
        yield from equal(f"cost: {name}", getattr(expected, name), getattr(written, name))
    yield from (Note("cost", text) for text in written.notes)


def energy(evidence: Evidence) -> Iterator[Finding]:
    """Energy never goes back but where a resumption takes it up, and loses the rest."""
    log, so_far = (evidence.read.events if evidence.read else ()), 0.0
    for at, event in enumerate(log):
        account = event.get("cost", {}) if event["event"] == "resume" else event
        now = account.get("energy_joules")
        if now is None:
            continue
        if event["event"] == "resume":
            lost = max(0.0, (latest_energy(log[:at]) or 0.0) - now)
            name = f"energy: lost by the resume at event {at + 1}"
            yield from close(name, lost, account["lost_energy_joules"])
        elif now < so_far:
            yield Failure(f"energy: event {at + 1}", f"at least {so_far}", now)
        so_far = now
