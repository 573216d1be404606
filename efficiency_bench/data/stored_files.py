"""Files that a command writes for later runs: one writer per folder, the record last.

The record is a JSON file next to each of them with its source, how it was stored, and its digest.
It is written last, so a file without a record was never finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from efficiency_bench.data import folder, train_val_overlap
from efficiency_bench.data.folder import PhotoSplits
from efficiency_bench.data.image_set import Tell
from efficiency_bench.data.skipped_files import reasons_text
from efficiency_bench.errors import UserError
from efficiency_bench.files import lock

SPLITS = ("train", "val")

CONTENT_CHECKED_BYTES = 1 << 30
"""The content of files of up to this total size is checked before a run: about a second."""


ProgressCallback = Callable[[str, int, int], None]
"""Called with a description of the step and file, the images done, and the total."""


class StoredFileRecord(BaseModel):
    """The record of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: ClassVar[str]
    """The command under ``efficiency-bench data`` that writes such files."""

    file: str
    images: int
    classes: tuple[str, ...]
    source_digest: str
    """Digest of the source folders, the same as with ``data=imagenet``."""
    sha256: str
    """Of the file, as ``sha256sum`` prints it."""
    bytes: int
    versions: dict[str, str]
    """Versions of the packages that decoded, resized and stored the images."""
    passed_over: dict[str, NonNegativeInt] | None = None
    """Skipped files of the source, by reason; None: not counted."""
    in_both: NonNegativeInt | None = None
    """Validation files only: images that are also training images; None: not compared."""

    @classmethod
    def again(cls, file: Path) -> str:
        """What to type if ``file`` cannot be used."""
        return f"write it again: efficiency-bench data {cls.command} SOURCE {file.parent}"


def source_notes(train: StoredFileRecord, val: StoredFileRecord) -> tuple[str, ...]:
    """Notes on skipped files, and on images in both sets, when the files were written."""
    left = [
        f"skipped in the source of {record.file}: {reasons_text(record.passed_over)}"
        for record in (train, val)
        if record.passed_over
    ]
    if val.in_both is None:
        left.append(f"{val.file} was not checked for images that are also training images")
    elif val.in_both:
        left.append(f"{val.in_both:,} of {val.images:,} validation images are also training images")
    return tuple(left)


def check_apart(train: Path, val: Path, train_digest: str, val_digest: str) -> None:
    """UserError if both files hold the same images, that is, have the same digest."""
    if train_digest == val_digest:
        raise UserError(
            f"{val} holds the same images as {train.name};\n"
            "write both again from a folder whose val/ holds other images than train/"
        )


Kind = TypeVar("Kind", bound=StoredFileRecord)


def record_path(file: Path) -> Path:
    """Path of the record of a file."""
    return file.with_name(f"{file.name}.json")


def read_record(file: Path, kind: type[Kind]) -> Kind:
    """Read the record of ``file``; UserError if file or record is missing or they do not match."""
    if not file.is_file():
        raise UserError(
            f"no {file}; data.root=DIR names the folder that"
            f" `efficiency-bench data {kind.command} SOURCE DIR` wrote"
        )
    path, again = record_path(file), kind.again(file)
    try:
        record = kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no {path}, so {file.name} was never finished; {again}") from None
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; make it readable, or name another"
            " data.root="
        ) from error
    except ValidationError as error:
        raise UserError(f"{path} is not a valid record; {again}") from error
    if record.file != file.name:
        raise UserError(f"{path} is the record of {record.file}; {again}")
    return record


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create ``folder`` if needed and lock it; UserError if another process holds the lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {error.strerror or error}; make it writable, or name"
            " another folder"
        ) from error
    try:
        lock(descriptor, wait_seconds=0)
        yield
    except BlockingIOError:
        raise UserError(f"another process is writing to {folder}; wait until it ends") from None
    finally:
        os.close(descriptor)


def draft_of(file: Path) -> Path:
    """Path of ``file`` until it is finished."""
    return file.with_name(f".{file.name}.unfinished")


def new_draft(file: Path) -> Path:
    """``draft_of(file)``, after removing what a killed writer left there, or a link."""
    draft = draft_of(file)
    draft.unlink(missing_ok=True)
    return draft


def finish(file: Path, record: StoredFileRecord) -> None:
    """Rename the draft of ``file`` to its name, and write the record last."""
    path = record_path(file)
    try:
        with new_draft(path).open("x") as draft:
            draft.write(record.model_dump_json(indent=2) + "\n")
        draft_of(file).replace(file)
        draft_of(path).replace(path)
    finally:
        draft_of(path).unlink(missing_ok=True)


def other_than(file: Path) -> UserError:
    """The error for an existing file with another source, or stored in another way."""
    return UserError(
        f"{record_path(file)} exists already, for another source or other options;"
        " remove it or name another folder"
    )


def sha256_of(file: Path) -> str:
    """SHA-256 (hex) of a file, which is flushed to disk first."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").hexdigest()


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of ``packages``."""
    return {name: version(name) for name in packages}


class SourceFacts(TypedDict):
    """Fields of a ``StoredFileRecord`` that describe the source of its file."""

    source_digest: str
    passed_over: dict[str, int]
    in_both: int | None


def source_splits(source: Path, allow_left_out: bool, tell: Tell) -> PhotoSplits:
    """List the folders under ``source``; UserError if no run could use them."""
    return folder.load(
        source, None, None, allow_left_out=allow_left_out, switch="--allow-left-out", tell=tell
    )


def source_facts(splits: PhotoSplits) -> dict[str, SourceFacts]:
    """The record fields of each split; UserError if all validation images are training images.

    Opens every file whose size occurs in both splits: a writer reads all of them anyway.
    """
    root = str(splits.train.folder.parent)
    overlap = train_val_overlap.compare_files(splits.train, splits.val, most=None).check(root)
    digest = splits.digest()
    return {
        "train": SourceFacts(
            source_digest=digest, passed_over=dict(splits.train.skipped.reasons), in_both=None
        ),
        "val": SourceFacts(
            source_digest=digest,
            passed_over=dict(splits.val.skipped.reasons),
            in_both=overlap.found,
        ),
    }
