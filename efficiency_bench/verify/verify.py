"""Check entries against the rules of one version and report which rules fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from efficiency_bench.ledger.reference import PAPER_IMAGES_PER_EPOCH
from efficiency_bench.records import TERAFLOPS_DAY, Entry, Tier
from efficiency_bench.verify import rules_budget, rules_crossing
from efficiency_bench.verify import rules_compute as cost
from efficiency_bench.verify import rules_compute as run
from efficiency_bench.verify import rules_identity as digests
from efficiency_bench.verify.evidence import Evidence, LedgerIndex, gather
from efficiency_bench.verify.findings import (
    Check,
    Failure,
    Finding,
    Remark,
    SkippedCheck,
    Unconfirmed,
    close,
    equal,
)

PUBLISHED_ROUNDING = 0.005
"""3 x epochs x images x MACs reproduces the 2020 paper's sixteen rows to half a percent."""


def published(evidence: Evidence) -> Iterator[Finding]:
    """Check that the printed compute follows from the printed epochs and MACs, up to rounding."""
    entry = evidence.entry
    if entry.paper3x_tfs_days is None or not entry.epochs or not entry.forward_macs:
        return
    recomputed = 3 * entry.epochs * PAPER_IMAGES_PER_EPOCH * entry.forward_macs / TERAFLOPS_DAY
    printed = str(entry.config.get("compute_tfs_days", entry.paper3x_tfs_days))
    half_a_digit = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    allowed = half_a_digit + PUBLISHED_ROUNDING * recomputed
    if abs(recomputed - entry.paper3x_tfs_days) > allowed:
        yield Failure("published: compute", recomputed, entry.paper3x_tfs_days)
    yield from equal("published: images", entry.epochs * PAPER_IMAGES_PER_EPOCH, entry.images)


def imported(evidence: Evidence) -> Iterator[Finding]:
    """Check that ``first_epoch_at_target`` is the first row at or above the target."""
    entry, target = evidence.entry, evidence.entry.known_target
    at = [e.epochs for e in entry.evaluations if target.met_by(e.accuracy(target.metric))]
    yield from close(
        "imported: first_epoch_at_target", min(at, default=None), entry.first_epoch_at_target
    )
    epochs = [e.epochs for e in entry.evaluations]
    if epochs != sorted(epochs):
        yield Failure("imported: epochs", "in order", epochs)


RULES_VERSION = 3
"""Version of the rules below.  Any stricter or different rule makes a new version.  Old versions
stay here, so that an entry can be checked against the rules that it was written under."""

_MEASURED_1: tuple[Check, ...] = (
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
    rules_crossing.cadence,
    rules_crossing.stop,
    rules_crossing.crossings,
    rules_crossing.targets,
    run.clocks,
    run.repeats,
    cost.cost,
    cost.energy,
)
_IMPORTED_1: tuple[Check, ...] = (digests.entry_digest, digests.no_evidence, imported)
_PUBLISHED: tuple[Check, ...] = (digests.no_evidence, published)

_MEASURED_2 = (digests.nothing_to_resolve, digests.keys, *_MEASURED_1, digests.code_of_the_commit)
_IMPORTED_2 = (digests.nothing_to_resolve, digests.keys, *_IMPORTED_1)

RULES: dict[int, dict[Tier, tuple[Check, ...]]] = {
    1: {"measured": _MEASURED_1, "imported": _IMPORTED_1, "published": _PUBLISHED},
    2: {"measured": _MEASURED_2, "imported": _IMPORTED_2, "published": _PUBLISHED},
    3: {
        "measured": (*_MEASURED_2, rules_budget.facts, rules_budget.budget),
        "imported": _IMPORTED_2,
        "published": _PUBLISHED,
    },
}

Verdict = Literal["verified", "not confirmed", "failed"]
"""All rules hold; a required check could not be made; a rule does not hold."""


@dataclass(frozen=True)
class Verification:
    """The result of verifying one entry."""

    run_id: str
    failures: tuple[Failure, ...] = ()
    unconfirmed: tuple[Unconfirmed, ...] = ()
    skipped: tuple[SkippedCheck, ...] = ()
    notes: tuple[Remark, ...] = ()
    short_id: str | None = None
    """Enough of the run id to name it in this ledger; None: only the whole one does."""
    name: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict of the worst finding."""
        if self.failures:
            return "failed"
        return "not confirmed" if self.unconfirmed else "verified"

    @property
    def ok(self) -> bool:
        """Whether the verdict is ``verified``."""
        return self.verdict == "verified"


def verify(
    ledger_dir: Path, entry: Entry, ledger: LedgerIndex, checks: Sequence[Check] = ()
) -> Verification:
    """Recompute ``entry`` from its event log and configuration, by the newest rules.

    ``ledger`` holds every entry of the ledger.  ``checks`` are additional rules for measured rows
    that need more than the ledger (the data, the network).  Never raises for a wrong entry: a rule
    that cannot be applied to it is reported as a failure of that rule.
    """
    evidence = gather(ledger_dir, entry, ledger)
    rules = RULES[RULES_VERSION][entry.tier]
    if entry.tier == "measured":
        rules = (*rules, *checks)
    findings = [finding for rule in rules for finding in _applied(rule, evidence)]
    return Verification(
        run_id=entry.run_id,
        failures=tuple(f for f in findings if isinstance(f, Failure)),
        unconfirmed=tuple(f for f in findings if isinstance(f, Unconfirmed)),
        skipped=tuple(f for f in findings if isinstance(f, SkippedCheck)),
        notes=tuple(f for f in findings if isinstance(f, Remark)),
    )


def _applied(rule: Check, evidence: Evidence) -> list[Finding]:
    try:
        return list(rule(evidence))
    except Exception as error:
        # an edited log or configuration may lack any field or hold any type: an exception is then a
        # failure of this rule, and the other rules and entries are still checked
        name = rule.__name__.replace("_", " ")
        return [Failure(name, "evidence that the rule can be applied to", repr(error))]
