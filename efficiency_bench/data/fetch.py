"""Download an archive: resumable, checked against its checksum, and unpacked atomically."""

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
"""Timeout of the server.  The bytes received until then are kept."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class RemoteArchive:
    """The URL of an archive, and its expected content."""

    name: str
    url: str
    md5: str
    """MD5 sum of the archive, as stated by its publisher."""
    folder: str
    """The only folder in the archive."""


def fetch(source: RemoteArchive, root: Path) -> Path:
    """Return the folder ``root / source.folder``, downloading it if missing; progress on stderr.

    The folder appears complete and checked, or not at all.  The bytes of an interrupted download
    are kept, and the same call resumes from there if the server can.  Two processes that ask for
    the same folder download it once.  Raises UserError if the download fails or does not match its
    checksum.
    """
    final = root / source.folder
    if final.is_dir():
        return final
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{source.folder}.part") as part:
            if not final.is_dir():  # another process may have fetched it in the meantime
                if _md5(part) != source.md5:
                    _download(source, part)
                    _check(source, part)
                _unpack(source, part, final)
                Path(part.name).unlink(missing_ok=True)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise _failed(source, root, str(reason)) from error
    return final


@contextmanager
def _locked(path: Path) -> Iterator[BufferedRandom]:
    """Open the unfinished archive and lock it, waiting while another process holds the lock."""
    with open(path, "a+b", opener=open_own) as part:
        lock(part.fileno(), wait_seconds=math.inf)
        yield part


def _download(source: RemoteArchive, part: BufferedRandom) -> None:
    """Append the missing bytes to ``part``; start over if the server cannot resume."""
    part.seek(0, os.SEEK_END)
    start = part.tell()
    headers = {"User-Agent": "efficiency-bench"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(source.url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.truncate(0)  # too long, so its bytes are from another archive
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
    if whole is not None and (received := part.tell()) < whole:
        raise OSError(None, f"the connection ended after {received} of {whole} bytes")
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
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"fetching {source.name}", total=whole, completed=start)
        while chunk := response.read(CHUNK_BYTES):
            part.write(chunk)
            progress.advance(task, len(chunk))


def _check(source: RemoteArchive, part: BufferedRandom) -> None:
    """UserError if the archive is not the published one; its bytes are deleted."""
    if (found := _md5(part)) != source.md5:
        part.truncate(0)  # not unlinked: another process may be waiting for the lock on this file
        raise UserError(
            f"the file from {source.url} has MD5 sum {found} instead of {source.md5}; it was"
            " deleted\nrun the same command again; if that does not help, get the archive elsewhere"
        )


def _md5(part: BufferedRandom) -> str:
    # The publisher states an MD5 sum.  It detects damaged and replaced archives, but not a
    # collision made by the publisher.
    part.seek(0)
    return hashlib.file_digest(part, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(source: RemoteArchive, part: BufferedRandom, final: Path) -> None:
    """Unpack into a temporary folder, flush it to disk, and move it into place with one rename."""
    aside = final.parent / f".{source.folder}.unpacking"
    shutil.rmtree(aside, ignore_errors=True)  # what a killed attempt left
    if aside.is_symlink():  # rmtree leaves links, and unpacking would follow one
        aside.unlink()
    part.seek(0)
    try:
        with tarfile.open(fileobj=part) as archive:
            # "data": rejects paths and links outside the folder, and devices
            archive.extractall(aside, filter="data")
        if not (aside / source.folder).is_dir():
            raise UserError(
                f"the archive from {source.url} has no folder {source.folder}; get it elsewhere,"
                f" and unpack it into {final.parent}"
            )
        for path in aside.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        (aside / source.folder).replace(final)
    except tarfile.TarError as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"the archive from {source.url} is rejected: {why}; get it elsewhere, and unpack it"
            f" into {final.parent}"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _failed(source: RemoteArchive, root: Path, reason: str) -> UserError:
    return UserError(
        f"{source.name} could not be fetched from {source.url}: {reason}\n"
        f"run the same command again to resume; or name a folder that contains {source.folder}"
        f" ({root} does not)"
    )
