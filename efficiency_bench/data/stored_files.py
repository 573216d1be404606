"""Files that a command writes for later runs: one writer a folder, the record last.

The record is the JSON beside such a file: what it was made of, how, and the digest of what came
out.  It is written last, so that a file without one was never finished.
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
from efficiency_bench.data.skipped_files import words
from efficiency_bench.errors import UserError
from efficiency_bench.files import lock

SPLITS = ("train", "val")

CONTENT_CHECKED_BYTES = 1 << 30
"""Files up to this size together are read whole before a run: about a second."""


ProgressCallback = Callable[[str, int, int], None]
"""Told what is done with which file, how many images of it, and of how many."""


class StoredFileRecord(BaseModel):
    """What is known of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: ClassVar[str]
    """The verb of ``efficiency-bench data`` that writes such files."""

    file: str
    images: int
    classes: tuple[str, ...]
    source_digest: str
    """Of the folders that it was made of, as ``data=imagenet`` has it."""
    sha256: str
    """Of the file, for ``sha256sum``."""
    bytes: int
    versions: dict[str, str]
    """Packages that decoded, reduced and stored the images."""
    passed_over: dict[str, NonNegativeInt] | None = None
    """Files of the source that were not stored, by reason; None: they were not counted."""
    in_both: NonNegativeInt | None = None
    """Of a validation file: its images that are training images too; None: not compared."""

    @classmethod
    def again(cls, file: Path) -> str:
        """What to type where ``file`` cannot be used."""
        return f"write it again: efficiency-bench data {cls.command} SOURCE {file.parent}"


def source_notes(train: StoredFileRecord, val: StoredFileRecord) -> tuple[str, ...]:
    """What was left out, or twice there, when both files were written."""
    left = [
        f"passed over in the source of {record.file}: {words(record.passed_over)}"
        for record in (train, val)
        if record.passed_over
    ]
    if val.in_both is None:
        left.append(f"whether {val.file} holds training images too was not compared")
    elif val.in_both:
        left.append(f"{val.in_both:,} of {val.images:,} validation images are training images too")
    return tuple(left)


def check_apart(train: Path, val: Path, train_digest: str, val_digest: str) -> None:
    """UserError where both files hold the same images, as their digests say."""
    if train_digest == val_digest:
        raise UserError(
            f"{val} holds the images of {train.name}, so that nothing would be validated;\n"
            "write both again from a folder whose val/ holds other images"
        )


Kind = TypeVar("Kind", bound=StoredFileRecord)


def record_path(file: Path) -> Path:
    """Where the record of a file lies."""
    return file.with_name(f"{file.name}.json")


def read_record(file: Path, kind: type[Kind]) -> Kind:
    """The record of ``file``; UserError where file or record is missing or is none of it."""
    if not file.is_file():
        raise UserError(
            f"no {file}; data.root=DIR names the folder that"
            f" `efficiency-bench data {kind.command} SOURCE DIR` has written"
        )
    path, again = record_path(file), kind.again(file)
    try:
        record = kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no {path}: {file.name} was never finished; {again}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise UserError(f"{path} is no record of such a file; {again}") from error
    if record.file != file.name:
        raise UserError(f"{path} is the record of {record.file}; {again}")
    return record


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, for this process alone; UserError otherwise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror or error}") from error
    try:
        lock(descriptor, wait_seconds=0)
        yield
    except BlockingIOError:
        raise UserError(f"another process is writing into {folder}; wait for it") from None
    finally:
        os.close(descriptor)


def draft_of(file: Path) -> Path:
    """Where ``file`` grows until it is finished."""
    return file.with_name(f".{file.name}.unfinished")


def new_draft(file: Path) -> Path:
    """``draft_of`` with nothing there: what a killed writer left, or a link, is removed."""
    draft = draft_of(file)
    draft.unlink(missing_ok=True)
    return draft


def finish(file: Path, record: StoredFileRecord) -> None:
    """Give the draft of ``file`` its name; the record comes last."""
    path = record_path(file)
    try:
        with new_draft(path).open("x") as draft:
            draft.write(record.model_dump_json(indent=2) + "\n")
        draft_of(file).replace(file)
        draft_of(path).replace(path)
    finally:
        draft_of(path).unlink(missing_ok=True)


def other_than(file: Path) -> UserError:
    """The refusal of a finished file that is of another source, or stored in another way."""
    return UserError(
        f"{record_path(file)} is there already, of another source or storage;"
        " remove it or name another folder"
    )


def sha256_of(file: Path) -> str:
    """SHA-256 (hex) of a file that is on the disk when this returns."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").hexdigest()


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of packages that are there."""
    return {name: version(name) for name in packages}


class SourceFacts(TypedDict):
    """Fields of a ``StoredFileRecord`` that say what its file was made of."""

    source_digest: str
    passed_over: dict[str, int]
    in_both: int | None


def source_splits(source: Path, allow_left_out: bool, tell: Tell) -> PhotoSplits:
    """The folders under ``source``; UserError for those that no run could use."""
    return folder.load(
        source, None, None, allow_left_out=allow_left_out, switch="--allow-left-out", tell=tell
    )


def source_facts(splits: PhotoSplits) -> dict[str, SourceFacts]:
    """What the record of each split says; UserError where validation images are the training set.

    Every file whose size occurs in both splits is opened: a writer reads all of them anyway.
    """
    root = str(splits.train.folder.parent)
    both = train_val_overlap.compare_files(splits.train, splits.val, most=None).check(root)
    digest = splits.digest()
    return {
        "train": SourceFacts(
            source_digest=digest, passed_over=dict(splits.train.skipped.reasons), in_both=None
        ),
        "val": SourceFacts(
            source_digest=digest,
            passed_over=dict(splits.val.skipped.reasons),
            in_both=both.found,
        ),
    }
