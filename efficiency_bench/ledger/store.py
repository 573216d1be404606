"""The ledger's folder: one immutable JSON file per entry, created once and never changed.

Its subfolder ``events/`` holds each run's compressed event log, so that the ledger alone is enough
to recompute every number in it.
"""

from __future__ import annotations

import contextlib
import difflib
import gc
import gzip
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from efficiency_bench.errors import UserError
from efficiency_bench.files import put, read_regular
from efficiency_bench.ledger import short_ids
from efficiency_bench.ledger.events import LARGEST_OWN_LOG_BYTES, reject_constant
from efficiency_bench.provenance import digest_json
from efficiency_bench.records import SCHEMA_VERSION, Entry

LARGEST_ENTRY_BYTES = 1 << 24
"""16 MiB; ten thousand evaluations, the most that an entry may have, take 3 MB."""

MOST_NAMED = 10
"""Most candidates listed for an ambiguous run id."""

_SAFE_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


class EntryExists(UserError):  # noqa: N818  (it names what is the case)
    """The ledger already has an entry with this run id, which was left unchanged."""


@dataclass(frozen=True)
class Problem:
    """A file of the ledger that is not a valid entry."""

    path: Path
    reason: str

    def __str__(self) -> str:
        """Return file and reason on one line of printable characters."""
        return printable(f"{self.path}: {self.reason}")


@dataclass(frozen=True)
class LedgerRead:
    """The content of a ledger's folder, ordered by run id."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def printable(text: str) -> str:
    """Return ``text`` with unprintable and control characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def entry_path(ledger_dir: Path, run_id: str) -> Path:
    """Return the path of the entry of ``run_id``; UserError if the id is not a safe file name."""
    if not _SAFE_RUN_ID.fullmatch(run_id):
        raise UserError(f"run id {_names_no_file(run_id)}; rename its experiment or model")
    return ledger_dir / f"{run_id}.json"


def _names_no_file(run_id: str) -> str:
    return (
        f"{run_id!r} cannot name a file; allowed: letters, digits, '-', '_' and '.' (not first),"
        " at most 200"
    )


def log_path(ledger_dir: Path, run_id: str) -> Path:
    """Return the path of the compressed event log of ``run_id``."""
    return ledger_dir / "events" / f"{entry_path(ledger_dir, run_id).stem}.jsonl.gz"


def append(ledger_dir: Path, entry: Entry, event_log: Path | None = None) -> Path:
    """Add one entry and return its path; the folder is created if missing.

    The file appears complete and fsynced or not at all, and only after its ``event_log`` (None: an
    imported row has none) is in the ledger.  Raises EntryExists if the run id is taken, UserError
    if the folder cannot be written.
    """
    final = entry_path(ledger_dir, entry.run_id)
    if event_log is not None and not final.exists():
        _keep_log(event_log, log_path(ledger_dir, entry.run_id))
    text = json.dumps(entry.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
    try:
        ledger_dir.mkdir(parents=True, exist_ok=True)
        put(final, text.encode(), replace=False)
    except FileExistsError as error:
        if not ledger_dir.is_dir():
            raise _refused(ledger_dir, error) from error
        raise EntryExists(
            f"the ledger already has {final}; an entry is never replaced\n"
            f"show it: efficiency-bench ledger show {entry.run_id} --ledger {ledger_dir}"
            "; measure once more: repeat=1"
        ) from error
    except OSError as error:
        raise _refused(ledger_dir, error) from error
    return final


def _keep_log(event_log: Path, kept: Path) -> None:
    """Compress ``event_log`` to ``kept``, replacing any file left by a crashed attempt."""
    try:
        # no timestamp inside, so that the same log always gives the same bytes
        compressed = gzip.compress(read_regular(event_log, LARGEST_OWN_LOG_BYTES), mtime=0)
    except OSError as error:
        raise UserError(
            f"cannot read the run's event log {event_log}: {error.strerror}\n"
            "an entry cannot be verified without it; restore it, or run again with repeat=1"
        ) from error
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        put(kept, compressed)
    except OSError as error:
        raise _refused(kept.parent, error) from error


def check_writable(ledger_dir: Path) -> None:
    """Create the folder and test that it is writable, so that a run does not end without an entry.

    Raises UserError if it is not.
    """
    probe = ledger_dir / f".{secrets.token_hex(8)}"
    try:
        ledger_dir.mkdir(parents=True, exist_ok=True)
        put(probe, b"\n")
    except OSError as error:
        raise _refused(ledger_dir, error) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def read(ledger_dir: Path) -> LedgerRead:
    """Read all entries of a ledger; files that are not valid entries are listed in ``problems``.

    Raises UserError if there is no such folder.
    """
    if not ledger_dir.is_dir():
        raise UserError(
            f"no ledger at {ledger_dir}; name one with --ledger DIR, or measure: "
            "efficiency-bench train experiment=alexnet data=digits"
        )
    entries: list[Entry] = []
    problems: list[Problem] = []
    paths = [path for path in sorted(ledger_dir.glob("*.json")) if path.name[0] != "."]
    with collector_paused():
        for path in paths:
            read_or_reason = _read_entry(path)
            if isinstance(read_or_reason, Entry):
                entries.append(read_or_reason)
            else:
                problems.append(Problem(path, read_or_reason))
    return LedgerRead(tuple(entries), tuple(problems))


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Disable garbage collection: entries have no cycles, and it takes longer than reading them.

    The collector is as before once the body ends, also if it raises.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def find(ledger_dir: Path, run_id: str) -> Entry:
    """Return the entry with this run id or short id; UserError otherwise.

    For a full run id, only its own file is read.
    """
    if _SAFE_RUN_ID.fullmatch(run_id) and (path := entry_path(ledger_dir, run_id)).exists():
        entry_or_reason = _read_entry(path)
        if isinstance(entry_or_reason, Entry):
            return entry_or_reason
        raise UserError(str(Problem(path, entry_or_reason)))
    return matching(read(ledger_dir).entries, run_id)


def matching(entries: Sequence[Entry], run_id: str) -> Entry:
    """Return the one of ``entries`` with this run id or short id; UserError otherwise."""
    found = matching_id([entry.run_id for entry in entries], run_id)
    return next(entry for entry in entries if entry.run_id == found)


def matching_id(run_ids: Sequence[str], text: str) -> str:
    """Return the one of ``run_ids`` that is ``text``, or that alone has it as its short id.

    Raises UserError with the candidates if there are several.
    """
    matches = [text] if text in run_ids else [i for i in run_ids if short_ids.names(text, i)]
    if len(matches) > 1:
        named = [*matches[:MOST_NAMED]]
        if len(matches) > MOST_NAMED:
            named.append(f"and {len(matches) - MOST_NAMED} more")
        raise UserError(
            "\n  ".join([f"{text!r} matches {len(matches)} run ids; type more of one:", *named])
        )
    if not matches:
        near = difflib.get_close_matches(text, run_ids, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(
            f"unknown run id {text!r}{hint}; a run id is needed, or a part of one that begins\n"
            "after a dash; they are listed by: efficiency-bench ledger list --ledger DIR"
        )
    return matches[0]


def _read_entry(path: Path) -> Entry | str:
    """Return the entry in ``path``, or the reason why it is not valid."""
    try:
        content = read_regular(path, LARGEST_ENTRY_BYTES)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    try:
        # three times as fast as json.loads and then validation, which matters for 10,000 entries
        entry = Entry.model_validate_json(content)
    except ValidationError as error:
        return _why_no_entry(content, error)
    if entry.schema_version > SCHEMA_VERSION:
        return _newer(entry.schema_version)
    if entry.run_id != path.stem:
        return f"its run id {entry.run_id!r} is not its file name"
    if not _SAFE_RUN_ID.fullmatch(entry.run_id):
        return f"its run id {_names_no_file(entry.run_id)}"
    return entry


def _why_no_entry(content: bytes, error: ValidationError) -> str:
    """Return the simplest reason: not JSON, not an object, a newer schema, else the field."""
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=reject_constant)
    except (ValueError, RecursionError) as parsing:
        return f"not JSON: {parsing}"
    if not isinstance(parsed, dict):
        return "not an entry: a JSON object is expected"
    schema = parsed.get("schema_version")
    if not isinstance(schema, int) or isinstance(schema, bool):
        return "not an entry: no whole schema_version"
    if schema > SCHEMA_VERSION:
        return _newer(schema)
    return f"not an entry: {_first(error)}"


def _newer(schema: int) -> str:
    return f"schema {schema} is newer than {SCHEMA_VERSION}, the newest that this version reads"


def _first(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    where = ".".join(map(str, details[0]["loc"])) or "values"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{where}: {details[0]['msg']}{more}"


def _refused(ledger_dir: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write an entry into {ledger_dir}: {error.strerror or error}\n"
        "free some space, make the folder writable or name another with ledger_dir=DIR; "
        "then type the same command again"
    )


ADDED_IN_4 = ("budget_asked", "budget", "rates", "classes", "parameters")
"""Fields of an entry that schema 4 added."""


def content_digest(entry: Entry) -> str:
    """Return the SHA-256 (hex) of all fields but ``entry_digest``, as canonical JSON.

    Fields that were added later are left out of an older entry, so that it keeps its digest: a cost
    or parameters of None, the network's digest in an entry of schema 2, and ``ADDED_IN_4``.
    """
    fields = entry.model_dump(mode="json", exclude={"entry_digest"})
    for name in ("cost", "parameters"):
        if fields[name] is None:
            del fields[name]
    if entry.schema_version < 3 and fields["provenance"] is not None:
        del fields["provenance"]["network_digest"]
    if entry.schema_version < 4:
        for name in ADDED_IN_4:
            fields.pop(name, None)
    return digest_json(fields)


def with_entry_digest(entry: Entry) -> Entry:
    """Return the entry with its content digest filled in."""
    return entry.model_copy(update={"entry_digest": content_digest(entry)})
