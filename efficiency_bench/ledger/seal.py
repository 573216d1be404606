"""The content digest of an entry: what shows that a number was changed by hand."""

from __future__ import annotations

from efficiency_bench.provenance import digest_json
from efficiency_bench.records import Entry


def content_digest(entry: Entry) -> str:
    """SHA-256 (hex) over every field but ``entry_digest``, as canonical JSON.

    A cost of None is left out, so that entries written before costs were kept keep their digest.
    """
    left_out = {"entry_digest"} if entry.cost else {"entry_digest", "cost"}
    return digest_json(entry.model_dump(mode="json", exclude=left_out))


def sealed(entry: Entry) -> Entry:
    """The entry with its content digest written in."""
    return entry.model_copy(update={"entry_digest": content_digest(entry)})
