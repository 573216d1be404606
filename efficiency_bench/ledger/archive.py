"""Opens a ledger that is a zip file, as a temporary folder.

The zip may come from a stranger.  Only entries and event logs are unpacked, under names without a
folder, and nothing that the zip calls a link or a device; the bounds hold for unpacked bytes.
"""

from __future__ import annotations

import contextlib
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.kept_log import LARGEST_LOG_BYTES
from efficiency_bench.ledger.store import LARGEST_ENTRY_BYTES

LARGEST_ZIP_BYTES = 1 << 28
"""256 MiB: about nine thousand runs, at 30 kB for an entry and its log (as in runs/ledger)."""

LARGEST_UNPACKED_BYTES = 1 << 30
"""1 GiB; a zip of 10 MB can unpack to 10 GB."""

MOST_FILES = 50_000
LONGEST_NAME_BYTES = 255
"""As on Linux file systems."""

PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those that unpack in steps of bounded size, unlike bzip2 and LZMA."""

LOGS, LOG_SUFFIX = "events", ".jsonl.gz"


@contextlib.contextmanager
def as_folder(place: Path) -> Iterator[Path]:
    """Yield the folder of a ledger: ``place``, or a temporary one if ``place`` is a zip file.

    The temporary folder is removed with the context.  Raises UserError if the file is not a zip, is
    damaged, is larger than the bounds or holds more than one folder of entries.
    """
    with contextlib.ExitStack() as stack:
        folder = place
        if place.is_file():
            try:
                temporary = tempfile.TemporaryDirectory(prefix="efficiency-bench-")
                folder = Path(stack.enter_context(temporary))
                _unpack(place, folder)
            except OSError as error:
                raise UserError(
                    f"cannot unpack {place}: {error.strerror or error}\n"
                    f"the zip must be readable and {tempfile.gettempdir()} have space for its"
                    " content; name another temporary folder: TMPDIR=DIR"
                ) from error
        yield folder


def _unpack(archive: Path, folder: Path) -> None:
    """Write the entries and logs in ``archive`` to ``folder``.

    A file beyond its own bound is cut one byte over it, and refused by whoever reads it.
    """
    if archive.stat().st_size > LARGEST_ZIP_BYTES:
        raise _refused(archive, f"is larger than {LARGEST_ZIP_BYTES:,} bytes")
    left = LARGEST_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(archive) as opened:
            for name, member in _ledger_files(archive, opened.infolist()).items():
                bound = LARGEST_LOG_BYTES if name.endswith(LOG_SUFFIX) else LARGEST_ENTRY_BYTES
                with opened.open(member) as file:
                    content = file.read(bound + 1)
                left -= len(content)
                if left < 0:
                    raise _refused(
                        archive, f"unpacks to more than {LARGEST_UNPACKED_BYTES:,} bytes"
                    )
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        # RuntimeError: encrypted; ValueError: a name that is no text
        raise _refused(archive, f"cannot be read as a zip file ({error})") from error


def _ledger_files(archive: Path, members: list[zipfile.ZipInfo]) -> Mapping[str, zipfile.ZipInfo]:
    """Return path in the ledger's folder -> member, for its entries and their logs."""
    if len(members) > MOST_FILES:
        raise _refused(archive, f"holds more than {MOST_FILES:,} files")
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in members:
        if member.is_dir():
            continue
        path = PurePosixPath(member.filename)
        if why := _why_unsafe(path, member) or ("is in it twice" if path in files else ""):
            raise _refused(archive, f"is not safe to unpack: {member.filename!r} {why}")
        files[path] = member
    entries = [path for path in files if path.suffix == ".json" and path.name[0] != "."]
    folders = sorted({str(path.parent) for path in entries})
    if len(folders) != 1:
        names = f": {', '.join(map(repr, folders[:5]))}" if folders else ""
        raise UserError(
            f"{archive} has JSON files in {len(folders)} folders{names}\n"
            "a zip of a ledger has the entries (RUN_ID.json) in one; unpack it and type the folder"
            " of the entries in place of the zip"
        )
    logs = [
        path
        for path in files
        if path.parent == PurePosixPath(folders[0], LOGS) and path.name.endswith(LOG_SUFFIX)
    ]
    found = {path.name: files[path] for path in entries}
    return found | {f"{LOGS}/{path.name}": files[path] for path in logs}


def _why_unsafe(path: PurePosixPath, member: zipfile.ZipInfo) -> str:
    """Return why a member is not unpacked; empty if it is a plain file inside the folder."""
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
        return "leads out of the folder"
    if len(path.name.encode()) > LONGEST_NAME_BYTES:
        return f"is longer than {LONGEST_NAME_BYTES} bytes"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device"
    return "" if member.compress_type in PACKINGS else "is packed by neither store nor deflate"


def _refused(archive: Path, why: str) -> UserError:
    return UserError(
        f"{archive} {why}\n"
        "a ledger is a folder of entries, or a zip of that folder of at most"
        f" {LARGEST_ZIP_BYTES >> 20} MiB; pack it: (cd FOLDER && zip -r ../ledger.zip .)"
    )
