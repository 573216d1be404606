"""Read the git repository of this code as data; nothing in it is executed.

No hook, filter, pager or network is involved: ``cat-file``, ``ls-tree`` and ``rev-list`` only read
objects, and a missing object is not fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TIMEOUT_SECONDS = 5.0
"""A repository on a dead network drive must not block a run."""

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A full commit id (SHA-1 or SHA-256); no other text is passed to git."""

_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
"""Inside a git hook, these variables point git at the hook's repository."""

_ONLY_LOOK = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


def git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """Return what git prints when run in ``folder`` with ``given`` on standard input.

    None if git fails or is not installed.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN} | _ONLY_LOOK
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=given,
            capture_output=True,
            check=True,
            timeout=TIMEOUT_SECONDS,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def top_of(file: Path) -> Path | None:
    """Return the top folder of the repository that tracks ``file``.

    None if no repository does, or git is not installed.  A virtual environment inside an unrelated
    repository is not tracked by it.
    """
    if git(file.parent, "ls-files", "--error-unmatch", "--", file.name) is None:
        return None
    top = git(file.parent, "rev-parse", "--show-toplevel")
    return None if top is None else Path(os.fsdecode(top).removesuffix("\n"))


def has_commit(top: Path, commit: str) -> bool:
    """Return whether ``commit`` is a full commit id and the repository has that commit."""
    if not COMMIT.fullmatch(commit):
        return False
    kind = git(top, "cat-file", "-t", commit)
    return kind is not None and kind.strip() == b"commit"


def files_at(
    top: Path, commit: str, suffixes: tuple[str, ...], under: Sequence[str] = ()
) -> Mapping[str, bytes] | None:
    """Return path -> content of the files of ``commit`` whose name ends in one of ``suffixes``.

    ``under`` limits the search to these folders of the repository; empty: everywhere.  Returns None
    if git fails.
    """
    if not has_commit(top, commit):
        return None
    listed = git(top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *under)
    if listed is None:
        return None
    blobs = {path: blob for path, blob in _blobs(listed) if path.endswith(suffixes)}
    asked = "".join(f"{blob}\n" for blob in blobs.values()).encode()
    printed = git(top, "cat-file", "--batch", given=asked)
    if printed is None:
        return None
    contents = list(_contents(printed))
    return dict(zip(blobs, contents, strict=True)) if len(contents) == len(blobs) else None


def commits_of(top: Path, folder: str) -> Sequence[str]:
    """Return the commits that changed ``folder``, newest first; empty if git fails."""
    listed = git(top, "rev-list", "--full-history", "HEAD", "--", folder)
    return [] if listed is None else listed.decode("ascii").split()


def _blobs(listed: bytes) -> Iterator[tuple[str, str]]:
    """Yield path and blob id of each regular file that ``ls-tree -z`` lists, without links."""
    for line in filter(None, listed.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, kind, blob = about.split()
        if kind == b"blob" and mode != b"120000":
            yield os.fsdecode(path), blob.decode("ascii")


def _contents(printed: bytes) -> Iterator[bytes]:
    """Yield the contents that ``cat-file --batch`` prints, each after a line with its size."""
    at = 0
    while at < len(printed):
        end = printed.index(b"\n", at)
        about = printed[at:end].split()
        if len(about) != 3:  # "<id> missing"
            return
        size = int(about[2])
        yield printed[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
