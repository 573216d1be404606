"""The verb that writes the HTML report; it needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficiency_bench.cli.shared import DEFAULT_LEDGER, AnyLedger, print_line


def report(
    out: Annotated[Path, typer.Option(help="Folder for index.html and the chart images.")],
    ledger: AnyLedger = DEFAULT_LEDGER,
) -> None:
    """Write a self-contained HTML page of the whole ledger, and its charts as images.

    An empty or missing ledger, or `--ledger published`, gives the published rows.
    """
    from efficiency_bench.ledger import read
    from efficiency_bench.ledger.reference import published_entries
    from efficiency_bench.ledger.store import LedgerRead
    from efficiency_bench.report.page.page import write_page

    found = read(ledger) if ledger.exists() else LedgerRead((), ())
    remarks = [f"Not read: {problem}" for problem in found.problems]
    entries, source = found.entries, str(ledger)
    if not entries:
        if source != "published":
            remarks.append(f"No entries in {ledger}: these are the published rows.")
        entries, source = published_entries(), "published"
    for remark in remarks:
        print_line(remark, error=True)
    print_line(str(write_page(entries, source, out, remarks)))
