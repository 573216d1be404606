"""Load the two .beton files of a folder as one data set: check, take a subset, digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from efficiency_bench.data.ffcv.beton import (
    Beton,
    BetonRecord,
    Storage,
    check_content,
    data_digest,
    read_recorded,
)
from efficiency_bench.data.image_set import Tell, balanced_indices, check_classes, quiet, set_line
from efficiency_bench.data.stored_files import (
    CONTENT_CHECKED_BYTES,
    SPLITS,
    check_apart,
    source_notes,
)
from efficiency_bench.errors import UserError


@dataclass(frozen=True)
class FfcvSplits:
    """Training and validation images with the same classes."""

    train: Beton
    val: Beton
    classes: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]


def file_of(root: Path, split: str) -> Path:
    """Path of the images of a split."""
    return root / f"{split}.beton"


def load(
    root: Path, train_images: int | None, val_images: int | None, tell: Tell = quiet
) -> FfcvSplits:
    """Open the files in ``root``; a given count selects a balanced subset of a split.

    ``tell`` gets one line on the data.  UserError for a file that is missing, unfinished,
    truncated, altered or made from another source.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; data.root=DIR names the folder with train.beton")
    (train, train_record), (val, val_record) = (read_recorded(file_of(root, s)) for s in SPLITS)
    counts = [(r.images, len(r.classes)) for r in (train_record, val_record)]
    tell(f"{root}: {set_line(counts, used=(train_images, val_images))}")
    check_classes(str(root), train_record.classes, val_record.classes)
    if train_record.source_digest != val_record.source_digest:
        raise UserError(
            f"train.beton and val.beton in {root} were made from different folders;\n"
            f"remove them and write both again: efficiency-bench data write-ffcv SOURCE {root}"
        )
    check_apart(train.path, val.path, train_record.content_digest, val_record.content_digest)
    notes = (
        _stored_note(train_record, val_record),
        _content_note(((train, train_record), (val, val_record))),
        *source_notes(train_record, val_record),
    )
    return FfcvSplits(
        _subset(train, train_record, train_images, "data.train_images"),
        _subset(val, val_record, val_images, "data.val_images"),
        train_record.classes,
        data_digest(train_record, val_record, (train_images, val_images)),
        notes,
    )


def check_whole(root: Path) -> list[BetonRecord]:
    """Check structure and content of both files; return their records, or raise UserError."""
    opened = [read_recorded(file_of(root, split)) for split in SPLITS]
    for stored, record in opened:
        check_content(stored, record)
    return [record for _, record in opened]


def _content_note(opened: Sequence[tuple[Beton, BetonRecord]]) -> str:
    """Check the content of small files; return a note on what was checked."""
    size = sum(record.bytes for _, record in opened)
    if size > CONTENT_CHECKED_BYTES:
        return (
            f"the structure of the .beton files was checked, but not their content"
            f" ({size / 1e9:.1f} GB): efficiency-bench data check-ffcv {opened[0][0].path.parent}"
        )
    for stored, record in opened:
        check_content(stored, record)
    return "the structure and content of the .beton files were checked"


def _stored_note(train: BetonRecord, val: BetonRecord) -> str:
    """The note on how the images are stored."""
    if train.storage == val.storage:
        return f"images stored as {_storage_text(train.storage)}"
    return (
        f"images stored as {_storage_text(train.storage)}, for validation as"
        f" {_storage_text(val.storage)}"
    )


def _storage_text(storage: Storage) -> str:
    kind = f"JPEG of quality {storage.jpeg_quality}" if storage.mode == "jpg" else "pixels"
    return f"{kind}, longer side up to {storage.max_px} px"


def _subset(whole: Beton, record: BetonRecord, count: int | None, key: str) -> Beton:
    if count is None:
        return whole
    return whole.subset(balanced_indices(whole.labels.tolist(), len(record.classes), count, key))
