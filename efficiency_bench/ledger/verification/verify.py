"""Hold entries against the rules of one version and say which of them fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from efficiency_bench.ledger.verification import rules_arrival as arrival
from efficiency_bench.ledger.verification import rules_cost as cost
from efficiency_bench.ledger.verification import rules_digests as digests
from efficiency_bench.ledger.verification import rules_elsewhere as elsewhere
from efficiency_bench.ledger.verification import rules_run as run
from efficiency_bench.ledger.verification.beside import Beside
from efficiency_bench.ledger.verification.evidence import Evidence, gather
from efficiency_bench.ledger.verification.findings import Check, Failure, Finding, Note, Skipped
from efficiency_bench.records import Entry, Tier

RULES_VERSION = 1
"""Of the rules below.  A stricter or another rule makes a new version; old ones stay readable
here under their number, so that an entry can be held to what it was written under."""

RULES: dict[int, dict[Tier, tuple[Check, ...]]] = {
    1: {
        "measured": (
            digests.entry_digest,
            digests.event_log,
            digests.names,
            digests.dates,
            digests.distinct,
            digests.code,
            run.steps_and_images,
            run.segments,
            run.compute,
            run.evaluations,
            arrival.cadence,
            arrival.stop,
            arrival.crossings,
            arrival.targets,
            run.clocks,
            run.repeats,
            cost.cost,
            cost.energy,
        ),
        "imported": (digests.entry_digest, digests.no_evidence, elsewhere.imported),
        "published": (digests.no_evidence, elsewhere.published),
    }
}


@dataclass(frozen=True)
class Verification:
    """What became of one entry."""

    run_id: str
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[Note, ...]

    @property
    def ok(self) -> bool:
        """Whether no rule failed; a skipped one did not."""
        return not self.failures


def verify(
    ledger_dir: Path, entry: Entry, beside: Beside, checks: Sequence[Check] = ()
) -> Verification:
    """Recompute ``entry`` from its event log and configuration, by the newest rules.

    ``beside`` holds every entry of the ledger.  ``checks`` are further rules for measured rows that
    need more than the ledger (the data, the network).  Nothing is raised for an entry that is
    wrong, however wrong: a rule that cannot even be applied is a failure by its name.
    """
    evidence = gather(ledger_dir, entry, beside)
    rules = RULES[RULES_VERSION][entry.tier]
    if entry.tier == "measured":
        rules = (*rules, *checks)
    findings = [finding for rule in rules for finding in _applied(rule, evidence)]
    return Verification(
        run_id=entry.run_id,
        failures=tuple(f for f in findings if isinstance(f, Failure)),
        skipped=tuple(f for f in findings if isinstance(f, Skipped)),
        notes=tuple(f for f in findings if isinstance(f, Note)),
    )


def _applied(rule: Check, evidence: Evidence) -> list[Finding]:
    try:
        return list(rule(evidence))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError) as error:
        # an edited log or configuration may lack anything or hold any type
        name = rule.__name__.replace("_", " ")
        return [Failure(name, "evidence that the rule can be applied to", repr(error))]
