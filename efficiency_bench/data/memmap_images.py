"""ImageNet in memory: photographs stored as squares of equal side in memory-mapped files.

Each split is one .npy file, uint8 [N, 3, side, side], with its record next to it.  Images are
ordered by class, so the record's counts per class give the labels.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from efficiency_bench.data import folder
from efficiency_bench.data.folder import PhotoSet
from efficiency_bench.data.folder_loader import resized_squares
from efficiency_bench.data.image_set import (
    DataSplits,
    ImageSet,
    Tell,
    check_classes,
    quiet,
    set_line,
)
from efficiency_bench.data.stored_files import (
    CONTENT_CHECKED_BYTES,
    SPLITS,
    ProgressCallback,
    SourceFacts,
    StoredFileRecord,
    check_apart,
    draft_of,
    finish,
    locked,
    new_draft,
    other_than,
    read_record,
    record_path,
    sha256_of,
    source_facts,
    source_notes,
    source_splits,
    versions_of,
)
from efficiency_bench.errors import UserError
from efficiency_bench.provenance import digest_json


class MemmapRecord(StoredFileRecord):
    """The record of one .npy file."""

    command: ClassVar[str] = "write-memory"

    side_px: int
    images_per_class: tuple[int, ...]


def file_of(root: Path, split: str) -> Path:
    """Path of the images of a split."""
    return root / f"{split}.npy"


def load(
    root: Path, tell: Tell = quiet, used: tuple[int | None, int | None] = (None, None)
) -> tuple[DataSplits, tuple[str, ...]]:
    """Map the two files in ``root``; the notes say what they hold and what was checked.

    ``tell`` gets one line on the data and on how many images are ``used``.  UserError for a file
    that is missing, unfinished, truncated, altered or made from another source.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; data.root=DIR names the folder with train.npy")
    (train, train_record), (val, val_record) = (_mapped(file_of(root, split)) for split in SPLITS)
    counts = [(len(part), len(part.classes)) for part in (train, val)]
    tell(f"{root}: {set_line(counts, used=used)}")
    check_classes(str(root), train.classes, val.classes)
    made_of = {(record.source_digest, record.side_px) for record in (train_record, val_record)}
    if len(made_of) > 1:
        raise UserError(
            f"train.npy and val.npy in {root} have different sources or sides;\n"
            f"remove them and write both again: efficiency-bench data write-memory SOURCE {root}"
        )
    train_file, val_file = (file_of(root, split) for split in SPLITS)
    check_apart(train_file, val_file, train_record.sha256, val_record.sha256)
    digest = digest_json([record.sha256 for record in (train_record, val_record)])
    stored = f"images stored as squares of {train_record.side_px} px, training and validation"
    checked = _content_note(root, (train_record, val_record))
    notes = (stored, checked, *source_notes(train_record, val_record))
    return DataSplits(train, val, digest), notes


def check_whole(root: Path) -> list[MemmapRecord]:
    """Check structure and content of both files; return their records, or raise UserError."""
    records = [_mapped(file_of(root, split))[1] for split in SPLITS]
    for record in records:
        _check_content(root, record)
    return records


def _mapped(file: Path) -> tuple[ImageSet, MemmapRecord]:
    """The images of ``file``, mapped but not read, and its record."""
    record = read_record(file, MemmapRecord)
    per_class = torch.tensor(record.images_per_class)
    shape = (record.images, 3, record.side_px, record.side_px)
    try:
        pixels = np.load(file, mmap_mode="r")
        known = (len(per_class), int(per_class.sum())) == (len(record.classes), record.images)
        right = known and (pixels.shape, pixels.dtype) == (shape, np.uint8)
    except (OSError, ValueError, EOFError):
        right = False
    if not right or file.stat().st_size != record.bytes:
        raise UserError(f"{file} does not match its record; {record.again(file)}")
    labels = torch.arange(len(per_class)).repeat_interleave(per_class)
    return ImageSet(_read_only(pixels), labels, record.classes), record


def _read_only(pixels: np.ndarray) -> Tensor:
    """A tensor that shares the mapped memory.  Writing to it would crash the process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def _content_note(root: Path, records: Sequence[MemmapRecord]) -> str:
    """Check the content of small files; return a note on what was checked."""
    size = sum(record.bytes for record in records)
    if size > CONTENT_CHECKED_BYTES:
        return (
            f"the structure of the .npy files was checked, but not their content"
            f" ({size / 1e9:.1f} GB): efficiency-bench data check-memory {root}"
        )
    for record in records:
        _check_content(root, record)
    return "the structure and content of the .npy files were checked"


def _check_content(root: Path, record: MemmapRecord) -> None:
    file = root / record.file
    if sha256_of(file) != record.sha256:
        raise UserError(f"{file} has been changed since it was written; {record.again(file)}")


PACKAGES = ("efficiency-bench", "torchvision", "pillow")


@dataclass(frozen=True)
class MemmapOptions:
    """What to write, and how."""

    source: Path
    out: Path
    side_px: int
    workers: int
    allow_left_out: bool = False


def write_memmap(
    options: MemmapOptions, progress: ProgressCallback, tell: Tell = quiet
) -> list[MemmapRecord]:
    """Write ``train.npy`` and ``val.npy`` into ``options.out``, each with its record.

    ``tell`` gets one line on the source.  An existing file of the same source and side is kept; any
    other existing file is an error.  An interrupted write leaves nothing that looks finished.

    Raises UserError for folders that no run could use, unreadable images, and a full disk.
    """
    splits = source_splits(options.source, options.allow_left_out, tell)
    source_digest = splits.digest()
    todo = {"train": splits.train, "val": splits.val}
    with locked(options.out):
        files = {split: file_of(options.out, split) for split in todo}
        found = {split: _already_there(files[split], source_digest, options) for split in todo}
        if all(found.values()):
            return [record for record in found.values() if record]
        missing = [photos for split, photos in todo.items() if found[split] is None]
        _check_room(options, sum(map(len, missing)))
        facts = source_facts(splits)
        return [
            found[split] or _write_file(files[split], photos, facts[split], options, progress)
            for split, photos in todo.items()
        ]


def _already_there(file: Path, source_digest: str, options: MemmapOptions) -> MemmapRecord | None:
    if not record_path(file).exists():
        return None
    record = read_record(file, MemmapRecord)
    if (record.source_digest, record.side_px) != (source_digest, options.side_px):
        raise other_than(file)
    return record


def _check_room(options: MemmapOptions, images: int) -> None:
    """Raise UserError now if the disk would be full hours later."""
    needed = images * 3 * options.side_px**2
    place = os.statvfs(options.out)
    free = place.f_bavail * place.f_frsize
    if needed > free:
        raise UserError(
            f"{options.out} has {free / 1e9:.3g} GB free, but {images} images of"
            f" {options.side_px} px need {needed / 1e9:.3g} GB;\n"
            "free some space, name another folder, or choose a smaller --side-px"
        )


def _write_file(
    file: Path,
    photos: PhotoSet,
    facts: SourceFacts,
    options: MemmapOptions,
    progress: ProgressCallback,
) -> MemmapRecord:
    """Write one file, read it back, and give it its name."""
    draft = draft_of(file)
    try:
        new_draft(file)
        total = len(photos)
        written = _write_pixels(draft, photos, options, lambda n: progress(file.name, n, total))
        again = folder.scan(photos.folder)
        same = np.array_equal(again.paths, photos.paths)
        if not same or not np.array_equal(again.sizes, photos.sizes):
            raise UserError(f"{photos.folder} changed while it was read; run the command again")
        if sha256_of(draft) != written:
            raise UserError(f"{draft} does not read back as it was written; try another disk")
        record = MemmapRecord(
            file=file.name,
            images=len(photos),
            classes=photos.classes,
            side_px=options.side_px,
            images_per_class=tuple(torch.bincount(photos.labels).tolist()),
            **facts,
            sha256=written,
            bytes=draft.stat().st_size,
            versions=versions_of(PACKAGES),
        )
        finish(file, record)
    except OSError as error:
        raise UserError(
            f"cannot write {file}: {error.strerror or error}; free some space or name another"
            " folder"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return record


def _write_pixels(
    draft: Path, photos: PhotoSet, options: MemmapOptions, progress: Callable[[int], None]
) -> str:
    """Write NumPy's header and every image in order; return the SHA-256 (hex) of the bytes.

    The file is written, not mapped: on a full disk, writing to mapped memory kills the process.
    """
    shape = (len(photos), 3, options.side_px, options.side_px)
    done, sha = 0, hashlib.sha256()
    with draft.open("x+b") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(0)
        sha.update(file.read())
        for pixels in resized_squares(photos, options.side_px, options.workers):
            block = pixels.numpy().data
            file.write(block)
            sha.update(block)
            done += len(pixels)
            progress(done)
    return sha.hexdigest()
