"""The ledger: event logs, entries, and the folder that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from efficiency_bench.ledger.store import LedgerRead


def read(source: str | Path = "runs/ledger") -> LedgerRead:
    """Read a ledger's folder or a zip of it, or with ``"published"`` the rows of the 2020 paper.

    ``entries`` of the result is a tuple of ``records.Entry``, ordered by run id for a ledger and as
    in the paper's table for its rows.  ``problems`` lists every file that is not a valid entry,
    with the reason; check it, since those runs are missing from ``entries``.

    Raises UserError if there is no such folder, or for a zip that is damaged or not safe to unpack.
    It checks no numbers; ``verify`` does.

    Source of the published rows: Hernandez & Brown 2020, arXiv:2005.04305, table 3.
    """
    from efficiency_bench.ledger import archive, reference, store

    if source == "published":
        return store.LedgerRead(reference.published_entries(), ())
    place = Path(source)
    with archive.as_folder(place) as folder:
        found = store.read(folder)
    problems = (store.Problem(place / each.path.name, each.reason) for each in found.problems)
    return store.LedgerRead(found.entries, tuple(problems))


__all__ = ["read"]
