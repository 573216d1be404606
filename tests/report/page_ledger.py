"""A ledger for the page: two comparable sets, two suites, seeds, a miss, hostile names."""

from __future__ import annotations

import json
from pathlib import Path

from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.ledger.store import append, read
from efficiency_bench.records import Entry, Provenance
from efficiency_bench.report.page.page import write_page
from tests.fitting.curve_factory import planted, straight

HOSTILE = "</script><img src=x onerror=alert(1)><!-- {{ 7*7 }} ' \" &"
"""Would end a script, start an element, a comment and a template, were it not escaped."""

MONTHS = 16.0
"""At which the measured set halves, exactly and at every threshold."""

PROVENANCE = Provenance(
    commit="0123456789abcdef",
    dirty=False,
    code_digest="c" * 64,
    versions={"python": "3.11.7"},
    hardware={"cpu": "a quiet CPU", "cores": 2},
)


def measured_entries() -> list[Entry]:
    """Five networks that halve exactly, one that never arrives, one with a hostile name."""
    found = [
        entry.model_copy(update={"provenance": PROVENANCE, "config": {"seed": 0, "note": HOSTILE}})
        for entry in planted(MONTHS)
    ]
    low = straight("slow", 1e9, points=6, date="2013-05-01", recipe="small_plain")
    never = low.model_copy(
        update={
            "reached": False,
            "paper3x_to_target_tfs_days": None,
            "exact_flops_to_target": None,
            "sustained_crossing_images": None,
            "sustained_crossing_epochs": None,
            "first_crossing_images": None,
            "first_crossing_epochs": None,
            "evaluations": low.evaluations[:2],
        }
    )
    undated = straight("hostile", 2e9).model_copy(
        update={"model": HOSTILE, "recipe": HOSTILE, "date": None, "end_detail": HOSTILE}
    )
    return [*found, never, undated]


def write_ledger(folder: Path) -> Path:
    """The measured entries, suites ``card`` and ``smoke``, and the sixteen published rows."""
    ledger = folder / "ledger"
    for i, entry in enumerate(measured_entries()):
        log = folder / "events.jsonl"
        log.write_text(json.dumps({"event": "start", "suite": "smoke" if i % 2 else "card"}) + "\n")
        append(ledger, entry, log)
    for entry in published_entries():
        append(ledger, entry)
    return ledger


def write_report(folder: Path) -> None:
    """The ledger, and the page of it in ``folder/new/report``, which it makes."""
    ledger = write_ledger(folder)
    write_page(read(ledger).entries, str(ledger), folder / "new/report")
