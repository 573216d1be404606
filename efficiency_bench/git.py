"""The repository of this code, read as data: objects are printed, nothing in them is run.

No hook, filter, pager or network takes part: ``cat-file``, ``ls-tree`` and ``rev-list`` look at
objects only, and a missing one is not fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TIMEOUT_SECONDS = 5.0
"""A repository on a dead network drive must not hold up a run."""

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A whole commit id (SHA-1 or SHA-256): anything else never reaches git."""

_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
"""Inside a git hook these point git at the hook's repository."""

_ONLY_LOOK = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


def git(folder: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What git prints in ``folder``, ``given`` on its standard input; None: it failed, or is not
    here."""
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
    """The top folder of the repository that tracks ``file``; None: none does, or there is no git.

    An environment inside somebody's repository is not that code.
    """
    if git(file.parent, "ls-files", "--error-unmatch", "--", file.name) is None:
        return None
    top = git(file.parent, "rev-parse", "--show-toplevel")
    return None if top is None else Path(os.fsdecode(top).removesuffix("\n"))


def has_commit(top: Path, commit: str) -> bool:
    """Whether ``commit`` is a whole commit id, and its commit is at hand."""
    if not COMMIT.fullmatch(commit):
        return False
    kind = git(top, "cat-file", "-t", commit)
    return kind is not None and kind.strip() == b"commit"


def files_at(
    top: Path, commit: str, suffixes: tuple[str, ...], under: Sequence[str] = ()
) -> Mapping[str, bytes] | None:
    """Path -> content of the files of ``commit`` whose name ends in one of ``suffixes``.

    ``under`` are folders of the repository; none: everywhere.  None where git does not answer.
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
    """Commits that changed something in ``folder``, the newest first; none where git is silent."""
    listed = git(top, "rev-list", "--full-history", "HEAD", "--", folder)
    return [] if listed is None else listed.decode("ascii").split()


def _blobs(listed: bytes) -> Iterator[tuple[str, str]]:
    """Path and blob id of each regular file that ``ls-tree -z`` lists; a link is none."""
    for line in filter(None, listed.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, kind, blob = about.split()
        if kind == b"blob" and mode != b"120000":
            yield os.fsdecode(path), blob.decode("ascii")


def _contents(printed: bytes) -> Iterator[bytes]:
    """The contents that ``cat-file --batch`` prints, each behind a line with its size."""
    at = 0
    while at < len(printed):
        end = printed.index(b"\n", at)
        about = printed[at:end].split()
        if len(about) != 3:  # "<id> missing"
            return
        size = int(about[2])
        yield printed[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
