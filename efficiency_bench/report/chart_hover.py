"""What hovering over a row of the chart says: its figures and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from efficiency_bench.records import Entry

ORIGIN = ("runs", "source", "commit", "hardware")


def origin(run_ids: Sequence[str], entries: Mapping[str, Entry]) -> dict[str, str]:
    """Where a row comes from, in words: its runs, their source, commit and hardware."""
    known = [entries[run_id] for run_id in run_ids if run_id in entries]
    facts = [entry.provenance for entry in known if entry.provenance is not None]
    found = {
        "source": {entry.source for entry in known},
        "commit": {f"{fact.commit or 'none'}"[:10] for fact in facts},
        "hardware": {str(fact.hardware.get("card") or fact.hardware.get("cpu")) for fact in facts},
    }
    runs = run_ids[0] if len(run_ids) == 1 else f"{run_ids[0]} and {len(run_ids) - 1} more"
    return {"runs": runs, **{key: ", ".join(sorted(v)) for key, v in found.items() if v}}


def tooltip(points: Sequence[Mapping[str, Any]]) -> list[alt.Tooltip]:
    """The lines of the hover text that ``points`` have fields for."""
    named = [
        alt.Tooltip("name:N", title="network"),
        alt.Tooltip("recipe:N"),
        alt.Tooltip("date:N", title="published"),
        alt.Tooltip("compute:Q", title="compute", format=".3~g"),
        alt.Tooltip("epochs:Q", title="epochs", format=".3~g"),
        alt.Tooltip("seeds:N"),
    ]
    known = [key for key in ORIGIN if any(key in point for point in points)]
    return [*named, *(alt.Tooltip(f"{key}:N") for key in known)]
