"""The ledger's folder: one immutable JSON file an entry, created once and never changed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from efficiency_bench.errors import UserError, unknown
from efficiency_bench.ledger.events import reject_constant
from efficiency_bench.records import SCHEMA_VERSION, Entry

_SAFE_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


class EntryExists(UserError):  # noqa: N818  (it names what is the case)
    """The ledger already holds an entry of this run id; it was not touched."""


@dataclass(frozen=True)
class Problem:
    """A file of the ledger that could not be read as an entry."""

    path: Path
    reason: str


@dataclass(frozen=True)
class LedgerRead:
    """What a ledger's folder holds, in order of run id."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def entry_path(ledger_dir: Path, run_id: str) -> Path:
    """Where the entry of ``run_id`` lies; UserError for an id that is no safe file name."""
    if not _SAFE_RUN_ID.fullmatch(run_id):
        raise UserError(
            f"run id {run_id!r} cannot name a file; allowed: letters, digits, '-', '_' and '.' "
            "(not first), at most 200"
        )
    return ledger_dir / f"{run_id}.json"


def append(ledger_dir: Path, entry: Entry) -> Path:
    """Add one entry and return its path; the folder is made where it is missing.

    The file appears under its name complete and on the disk, or not at all.  Raises
    EntryExists where the run id is taken, UserError where the folder does not take it.
    """
    final = entry_path(ledger_dir, entry.run_id)
    text = json.dumps(entry.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
    draft = _draft(ledger_dir)
    try:
        _write_durably(draft, text)
        # unlike a rename, a link refuses a name that is taken, also between two processes
        os.link(draft, final)
        _sync_folder(ledger_dir)
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
    finally:
        _discard(draft)
    return final


def check_writable(ledger_dir: Path) -> None:
    """Make the folder and try a small file in it, so that a run does not end unwritten.

    Raises UserError where the folder does not take one.
    """
    draft = _draft(ledger_dir)
    try:
        _write_durably(draft, "\n")
    except OSError as error:
        raise _refused(ledger_dir, error) from error
    finally:
        _discard(draft)


def read(ledger_dir: Path) -> LedgerRead:
    """Every entry of a ledger; a file that is none is named in ``problems``, the rest read.

    Raises UserError where there is no such folder.
    """
    if not ledger_dir.is_dir():
        raise UserError(
            f"no ledger at {ledger_dir}; name one with --ledger DIR, or measure: "
            "efficiency-bench train experiment=alexnet data=digits"
        )
    entries: list[Entry] = []
    problems: list[Problem] = []
    for path in sorted(ledger_dir.glob("*.json")):
        if path.name.startswith("."):
            continue
        read_or_reason = _read_entry(path)
        if isinstance(read_or_reason, Entry):
            entries.append(read_or_reason)
        else:
            problems.append(Problem(path, read_or_reason))
    return LedgerRead(tuple(entries), tuple(problems))


def find(ledger_dir: Path, run_id: str) -> Entry:
    """The entry whose run id is ``run_id`` or alone begins with it; UserError otherwise."""
    found = read(ledger_dir)
    for problem in found.problems:
        if problem.path.stem == run_id:
            raise UserError(f"{problem.path}: {problem.reason}")
    matches = _matching(found.entries, run_id)
    if len(matches) > 1:
        names = ", ".join(e.run_id for e in matches)
        raise UserError(f"{run_id!r} begins several run ids; give more of one: {names}")
    if not matches:
        raise unknown("run id", run_id, [e.run_id for e in found.entries])
    return matches[0]


def _matching(entries: Sequence[Entry], run_id: str) -> list[Entry]:
    exact = [e for e in entries if e.run_id == run_id]
    return exact or [e for e in entries if run_id and e.run_id.startswith(run_id)]


def _read_entry(path: Path) -> Entry | str:
    """The entry in ``path``, or the reason why there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=reject_constant)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(content, dict):
        return "not an entry: a JSON object is expected"
    schema = content.get("schema_version")
    if not isinstance(schema, int) or isinstance(schema, bool):
        return "not an entry: no whole schema_version"
    if schema > SCHEMA_VERSION:
        return f"schema {schema} is newer than {SCHEMA_VERSION}, the newest that this version reads"
    try:
        entry = Entry.model_validate(content)
    except ValidationError as error:
        return f"not an entry: {_first(error)}"
    if entry.run_id != path.stem:
        return f"its run id {entry.run_id!r} is not its file name"
    return entry


def _first(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    where = ".".join(map(str, details[0]["loc"]))
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{where}: {details[0]['msg']}{more}"


def _draft(ledger_dir: Path) -> Path:
    # a leading dot and no .json: no reader takes a half-written file for an entry
    return ledger_dir / f".{secrets.token_hex(8)}.tmp"


def _write_durably(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _discard(draft: Path) -> None:
    with contextlib.suppress(OSError):
        draft.unlink()


def _refused(ledger_dir: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write an entry into {ledger_dir}: {error.strerror or error}\n"
        "free some space, make the folder writable or name another with ledger_dir=DIR; "
        "then type the same command again"
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
