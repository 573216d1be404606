"""Read the compressed event logs of a ledger, within bounds: they may be untrusted."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.files import read_regular
from efficiency_bench.ledger.events import parse_events
from efficiency_bench.ledger.store import log_path

LARGEST_LOG_BYTES = 1 << 26
"""64 MiB unpacked.  A month of training writes 39 MB (``events.ThrottledProgress``), 90 ImageNet
epochs write 6 MB.  The same size in gzip can unpack to 64 GB."""

MOST_EVENTS = 200_000
"""A month writes 97,000: the first 10,000, then one every 30 s."""

MOST_VALUES = 4_000_000
"""Numbers, strings, lists and objects: twenty per event.  Each takes about 60 bytes in Python, but
only three (``[],``) in the file."""


def read_kept_log(path: Path) -> bytes:
    """Return the unpacked bytes of the log at ``path``.

    Raises FileNotFoundError if there is none, and UserError for a damaged or endless file, or one
    beyond the bounds above.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(read_regular(path, LARGEST_LOG_BYTES))) as file:
            content = file.read(LARGEST_LOG_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise UserError(f"cannot be unpacked: {error}") from error
    check_size(content)
    return content


def check_size(content: bytes) -> None:
    """Raise UserError if the unpacked bytes of a log exceed the bounds, before it is parsed."""
    if len(content) > LARGEST_LOG_BYTES:
        raise UserError(f"larger than {LARGEST_LOG_BYTES:,} bytes unpacked; no run writes so many")
    if (events := content.count(b"\n")) > MOST_EVENTS:
        raise UserError(f"{events:,} events; at most {MOST_EVENTS:,} (two months) are read")
    # each value follows one of these characters, or is alone in its line
    if (values := sum(map(content.count, (b",", b"[", b"{")))) > MOST_VALUES:
        raise UserError(f"more than {values:,} values; at most {MOST_VALUES:,} are read")


def first_line(path: Path, longest_bytes: int) -> bytes:
    """Return the first line of the log at ``path``; OSError, EOFError or zlib.error if unreadable.

    Unpacks no more than ``longest_bytes``.
    """
    packed = read_regular(path, LARGEST_LOG_BYTES)
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return file.readline(longest_bytes)


LONGEST_START_BYTES = 1_000_000
"""A start event has a few thousand bytes; a longer first line is not one."""


def macs_by_operator(start: Mapping[str, Any] | None) -> Mapping[str, int]:
    """Return forward MACs per image by operator, at the largest side; empty if the log has none."""
    try:
        counts = (start or {})["counts"]
        operators = counts[max(counts, key=int)]["by_operator"]
        return {str(name): int(macs) for name, macs in operators.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def start_event(ledger_dir: Path, run_id: str) -> Mapping[str, Any] | None:
    """Return the ``start`` event of ``run_id``; None if the ledger has no readable log of it.

    ``verify`` reports what is wrong with an unreadable one.
    """
    try:
        path = log_path(ledger_dir, run_id)
        events = parse_events(first_line(path, LONGEST_START_BYTES), path.name).events
    except (OSError, EOFError, zlib.error, UserError):
        return None
    return events[0] if events and events[0]["event"] == "start" else None
