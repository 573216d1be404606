"""Rules for rows that nobody here trained: published numbers and imported curves."""

from __future__ import annotations

from collections.abc import Iterator

from efficiency_bench.ledger.reference import PAPER_IMAGES_PER_EPOCH
from efficiency_bench.ledger.verification.evidence import Evidence
from efficiency_bench.ledger.verification.findings import Failure, Finding, close, equal
from efficiency_bench.records import TERAFLOPS_DAY

PUBLISHED_ROUNDING = 0.005
"""3 x epochs x images x MACs gives the 2020 paper's sixteen rows to half a percent."""


def published(evidence: Evidence) -> Iterator[Finding]:
    """The printed compute follows from the printed epochs and MACs, up to their rounding."""
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
    """The first row at or over the target is the one named."""
    entry, target = evidence.entry, evidence.entry.target
    at = [e.epochs for e in entry.evaluations if target.met_by(e.accuracy(target.metric))]
    yield from close(
        "imported: first_epoch_at_target", min(at, default=None), entry.first_epoch_at_target
    )
    epochs = [e.epochs for e in entry.evaluations]
    if epochs != sorted(epochs):
        yield Failure("imported: epochs", "in order", epochs)
