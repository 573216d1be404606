"""How a run began, from the first line of the event log that the ledger keeps."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficiency_bench.ledger.store import log_path

LONGEST_START_BYTES = 1_000_000
"""A start event has a few thousand; a file that unpacks to more is no log."""


def macs_by_operator(start: Mapping[str, Any] | None) -> Mapping[str, int]:
    """Forward MACs of one image by operator, at the largest side; empty where a log has none."""
    try:
        counts = (start or {})["counts"]
        operators = counts[max(counts, key=int)]["by_operator"]
        return {str(name): int(macs) for name, macs in operators.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def start_event(ledger_dir: Path, run_id: str) -> Mapping[str, Any] | None:
    """The ``start`` event of ``run_id``; None where the ledger has no log of it, or none that
    can be read (``verify`` says what is wrong with it)."""
    try:
        with gzip.open(log_path(ledger_dir, run_id), "rb") as log:
            event = json.loads(log.readline(LONGEST_START_BYTES))
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return event if isinstance(event, dict) and event.get("event") == "start" else None
