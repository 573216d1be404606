"""Fetching an archive: resumable, checked against its checksum, in place whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import math
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from efficiency_bench.errors import UserError
from efficiency_bench.files import lock, open_own

SILENCE_SECONDS = 30.0
"""A server that sends nothing for so long has gone; what came so far is kept."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class RemoteArchive:
    """Where an archive is, and what it must be."""

    name: str
    url: str
    md5: str
    """Of the archive's bytes, as its publisher states it."""
    folder: str
    """The one folder in the archive."""


def fetch(source: RemoteArchive, root: Path) -> Path:
    """The folder ``root / source.folder``, fetched unless it is there; progress on stderr.

    It appears complete and checked, or not at all.  Broken off, what came so far is kept aside
    and the same call goes on from there where the server can.  Two processes that ask for it
    fetch it once.  Raises UserError where it cannot be had or is not what it should be.
    """
    final = root / source.folder
    if final.is_dir():
        return final
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _held(root / f".{source.folder}.part") as part:
            if not final.is_dir():  # another process may have fetched it meanwhile
                if _md5(part) != source.md5:
                    _download(source, part)
                    _check(source, part)
                _unpack(source, part, final)
                Path(part.name).unlink(missing_ok=True)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise _broken_off(source, root, str(reason)) from error
    return final


@contextmanager
def _held(path: Path) -> Iterator[BufferedRandom]:
    """The unfinished archive, for this process alone; it waits for another that has it."""
    with open(path, "a+b", opener=open_own) as part:
        lock(part.fileno(), wait_seconds=math.inf)
        yield part


def _download(source: RemoteArchive, part: BufferedRandom) -> None:
    """Append to ``part`` what it lacks; from the start where the server cannot continue."""
    part.seek(0, os.SEEK_END)
    start = part.tell()
    headers = {"User-Agent": "efficiency-bench"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(source.url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.truncate(0)  # as long as the archive or longer, and another's bytes
            return _download(source, part)
        raise
    with response:
        if start and not _continues(response, start):
            part.truncate(0)
            start = 0
        length = response.headers.get("Content-Length")
        whole = start + int(length) if length else None
        _copy(source, response, part, start, whole)
    part.flush()
    if whole is not None and (came := part.tell()) < whole:
        raise OSError(None, f"the connection ended after {came} of {whole} bytes")
    return None


def _continues(response: http.client.HTTPResponse, start: int) -> bool:
    place = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and place.startswith(f"bytes {start}-")


def _copy(
    source: RemoteArchive,
    response: http.client.HTTPResponse,
    part: BufferedRandom,
    start: int,
    whole: int | None,
) -> None:
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(f"fetching {source.name}", total=whole, completed=start)
        while chunk := response.read(CHUNK_BYTES):
            part.write(chunk)
            shown.advance(task, len(chunk))


def _check(source: RemoteArchive, part: BufferedRandom) -> None:
    """Refuse an archive that is not the published one; nothing of it is kept."""
    if (found := _md5(part)) != source.md5:
        part.truncate(0)  # not deleted: another process may be waiting for this very file
        raise UserError(
            f"what {source.url} sent has the MD5 {found}, not {source.md5}: it was deleted\n"
            "type the same command again; where that does not help, get the archive elsewhere"
        )


def _md5(part: BufferedRandom) -> str:
    # MD5 is what the publisher states: it tells a damaged archive, and one that somebody else
    # made, though not one that the publisher made to collide
    part.seek(0)
    return hashlib.file_digest(part, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(source: RemoteArchive, part: BufferedRandom, final: Path) -> None:
    """Unpack aside, force it to the disk, and put it in place by one rename."""
    aside = final.parent / f".{source.folder}.unpacking"
    shutil.rmtree(aside, ignore_errors=True)  # what a killed attempt left
    if aside.is_symlink():  # which rmtree leaves, and unpacking would follow
        aside.unlink()
    part.seek(0)
    try:
        with tarfile.open(fileobj=part) as archive:
            # "data": no place outside the folder, no links out of it, no devices
            archive.extractall(aside, filter="data")
        if not (aside / source.folder).is_dir():
            raise UserError(f"{source.url} holds no folder {source.folder}")
        for path in aside.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        (aside / source.folder).replace(final)
    except tarfile.TarError as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{source.url} sent an archive that is refused: {why}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _broken_off(source: RemoteArchive, root: Path, reason: str) -> UserError:
    return UserError(
        f"{source.name} could not be fetched from {source.url}: {reason}\n"
        f"the same command goes on from there; or name a folder with {source.folder} in it:"
        f" {root} has none"
    )
