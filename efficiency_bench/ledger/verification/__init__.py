"""Every number of an entry, computed again from its event log and its configuration."""

from efficiency_bench.ledger.verification.beside import Beside
from efficiency_bench.ledger.verification.findings import Check, Failure, Note, Skipped
from efficiency_bench.ledger.verification.verify import Verification, verify

__all__ = ["Beside", "Check", "Failure", "Note", "Skipped", "Verification", "verify"]
