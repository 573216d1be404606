"""What happened: event logs, entries, the ledger's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from efficiency_bench.ledger.store import LedgerRead


def read(source: str | Path = "runs/ledger") -> LedgerRead:
    """Read a ledger's folder, or with ``"published"`` the rows of the 2020 paper.

    ``entries`` of the result is a tuple of ``records.Entry``, in order of run id for a folder and
    of the paper's table for its rows.  ``problems`` names every file that could not be read as an
    entry, with the reason; look at it, since those runs are missing from ``entries``.

    Raises UserError where there is no such folder.  Neither checks a number: that is ``verify``'s.

    Source of the published rows: Hernandez & Brown 2020, arXiv:2005.04305, table 3.
    """
    from efficiency_bench.ledger import reference, store

    if source == "published":
        return store.LedgerRead(reference.published_entries(), ())
    return store.read(Path(source))


__all__ = ["read"]
