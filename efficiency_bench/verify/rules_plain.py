"""A rule about text: an entry says what it says, and refers to nothing."""

from __future__ import annotations

from collections.abc import Iterator

from efficiency_bench.identity import leaves
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Failure, Finding


def nothing_to_resolve(evidence: Evidence) -> Iterator[Finding]:
    """No text of the entry holds ``${``: resolved, it could read this machine."""
    for key, value in leaves(evidence.entry.model_dump(mode="json")):
        if isinstance(value, str) and "${" in value:
            yield Failure(f"plain text: {key}", "no ${...}; nothing of it was resolved", value)
