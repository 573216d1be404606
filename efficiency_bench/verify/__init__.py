"""Verify entries: recompute every number from the event log and the configuration."""

from efficiency_bench.verify.evidence import LedgerIndex
from efficiency_bench.verify.findings import Check, Failure, Remark, SkippedCheck, Unconfirmed
from efficiency_bench.verify.verify import Verification, verify

__all__ = [
    "Check",
    "Failure",
    "LedgerIndex",
    "Remark",
    "SkippedCheck",
    "Unconfirmed",
    "Verification",
    "verify",
]
