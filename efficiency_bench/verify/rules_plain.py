"""A rule about text: an entry is literal and holds no reference."""

from __future__ import annotations

from collections.abc import Iterator

from efficiency_bench.identity import leaves
from efficiency_bench.verify.evidence import Evidence
from efficiency_bench.verify.findings import Failure, Finding


def nothing_to_resolve(evidence: Evidence) -> Iterator[Finding]:
    """Check that no string of the entry holds ``${``: resolving it could read from this machine."""
    for key, value in leaves(evidence.entry.model_dump(mode="json")):
        if isinstance(value, str) and "${" in value:
            yield Failure(f"plain text: {key}", "no ${...}; nothing of it was resolved", value)
