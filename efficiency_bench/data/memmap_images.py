"""ImageNet in memory: photographs stored as squares of one side, mapped and not read.

Each split is one .npy file, uint8 [N, 3, side, side], with its record beside it; the images lie in
the order of their classes, so that the record's counts are the labels.
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
    held,
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
    """What is known of one file of squares."""

    command: ClassVar[str] = "write-memory"

    side_px: int
    images_per_class: tuple[int, ...]


def file_of(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / f"{split}.npy"


def load(root: Path, tell: Tell = quiet) -> tuple[DataSplits, tuple[str, ...]]:
    """Map ``root``'s two files; notes say what they hold and what was checked.

    ``tell`` is given one line on what is there.
    UserError for a file that is missing, unfinished, cut off, altered or of another source.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; data.root=DIR names the one with train.npy")
    (train, train_record), (val, val_record) = (_mapped(file_of(root, split)) for split in SPLITS)
    counts = [(len(part), len(part.classes)) for part in (train, val)]
    tell(f"{root}: {set_line(*counts)}")
    check_classes(str(root), train.classes, val.classes)
    made_of = {(record.source_digest, record.side_px) for record in (train_record, val_record)}
    if len(made_of) > 1:
        raise UserError(f"train.npy and val.npy in {root} differ in their source or their side")
    train_file, val_file = (file_of(root, split) for split in SPLITS)
    check_apart(train_file, val_file, train_record.sha256, val_record.sha256)
    digest = digest_json([record.sha256 for record in (train_record, val_record)])
    stored = f"images stored as squares of {train_record.side_px} px, training and validation"
    checked = _content_note(root, (train_record, val_record))
    notes = (stored, checked, *source_notes(train_record, val_record))
    return DataSplits(train, val, digest), notes


def check_whole(root: Path) -> list[MemmapRecord]:
    """Check structure and content of both files; their records, or UserError."""
    records = [_mapped(file_of(root, split))[1] for split in SPLITS]
    for record in records:
        _check_content(root, record)
    return records


def _mapped(file: Path) -> tuple[ImageSet, MemmapRecord]:
    """The images of ``file``, none of them read, and its record."""
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
        raise UserError(f"{file} is not the file that its record describes; {record.again(file)}")
    labels = torch.arange(len(per_class)).repeat_interleave(per_class)
    return ImageSet(_read_only(pixels), labels, record.classes), record


def _read_only(pixels: np.ndarray) -> Tensor:
    """A tensor on the file's memory.  Nobody writes into it: that would end the process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def _content_note(root: Path, records: Sequence[MemmapRecord]) -> str:
    """Check the content of small files, and say what was checked."""
    size = sum(record.bytes for record in records)
    if size > CONTENT_CHECKED_BYTES:
        return (
            f"the .npy files' structure was checked, their content ({size / 1e9:.1f} GB) not:"
            f" efficiency-bench data check-memory {root}"
        )
    for record in records:
        _check_content(root, record)
    return "the .npy files' structure and content were checked"


def _check_content(root: Path, record: MemmapRecord) -> None:
    file = root / record.file
    if sha256_of(file) != record.sha256:
        raise UserError(f"{file} was altered after it was written; {record.again(file)}")


PACKAGES = ("efficiency-bench", "torchvision", "pillow")


@dataclass(frozen=True)
class MemmapOptions:
    """What to write."""

    source: Path
    out: Path
    side_px: int
    workers: int
    allow_left_out: bool = False


def write_memmap(
    order: MemmapOptions, progress: ProgressCallback, tell: Tell = quiet
) -> list[MemmapRecord]:
    """Write ``train.npy`` and ``val.npy`` into ``order.out``, each with its record.

    ``tell`` is given one line on the source.

    A file that is there already, of the same source and side, is left as it is; any other is
    refused.  Nothing that looks finished is left where this is broken off.  Raises UserError for
    folders that no run could use, images that cannot be read, and a disk that is too small.
    """
    splits = source_splits(order.source, order.allow_left_out, tell)
    source_digest = splits.digest()
    todo = {"train": splits.train, "val": splits.val}
    with held(order.out):
        files = {split: file_of(order.out, split) for split in todo}
        found = {split: _already_there(files[split], source_digest, order) for split in todo}
        if all(found.values()):
            return [record for record in found.values() if record]
        missing = [photos for split, photos in todo.items() if found[split] is None]
        _check_room(order, sum(map(len, missing)))
        facts = source_facts(splits)
        return [
            found[split] or _write_file(files[split], photos, facts[split], order, progress)
            for split, photos in todo.items()
        ]


def _already_there(file: Path, source_digest: str, order: MemmapOptions) -> MemmapRecord | None:
    if not record_path(file).exists():
        return None
    record = read_record(file, MemmapRecord)
    if (record.source_digest, record.side_px) != (source_digest, order.side_px):
        raise other_than(file)
    return record


def _check_room(order: MemmapOptions, images: int) -> None:
    """Refuse at once what would fill the disk hours later."""
    needed = images * 3 * order.side_px**2
    place = os.statvfs(order.out)
    free = place.f_bavail * place.f_frsize
    if needed > free:
        raise UserError(
            f"{order.out} has {free / 1e9:.3g} GB free, and {images} images of"
            f" {order.side_px} px take {needed / 1e9:.3g} GB;\n"
            "make room, name another folder, or choose a smaller --side-px"
        )


def _write_file(
    file: Path,
    photos: PhotoSet,
    facts: SourceFacts,
    order: MemmapOptions,
    progress: ProgressCallback,
) -> MemmapRecord:
    """Write, read again and name one file."""
    draft = draft_of(file)
    try:
        new_draft(file)
        written = _write_pixels(draft, photos, order, lambda n: progress(file.name, n, len(photos)))
        again = folder.scan(photos.folder)
        same = np.array_equal(again.paths, photos.paths)
        if not same or not np.array_equal(again.sizes, photos.sizes):
            raise UserError(f"{photos.folder} was changed while it was read; write it again")
        if sha256_of(draft) != written:
            raise UserError(f"{draft} is not on the disk as it was written; try another disk")
        record = MemmapRecord(
            file=file.name,
            images=len(photos),
            classes=photos.classes,
            side_px=order.side_px,
            images_per_class=tuple(torch.bincount(photos.labels).tolist()),
            **facts,
            sha256=written,
            bytes=draft.stat().st_size,
            versions=versions_of(PACKAGES),
        )
        finish(file, record)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return record


def _write_pixels(
    draft: Path, photos: PhotoSet, order: MemmapOptions, progress: Callable[[int], None]
) -> str:
    """Every image in order, after NumPy's header; SHA-256 (hex) of what was written.

    Written and not mapped: a full disk ends a process that writes into mapped memory.
    """
    shape = (len(photos), 3, order.side_px, order.side_px)
    done, sha = 0, hashlib.sha256()
    with draft.open("x+b") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(0)
        sha.update(file.read())
        for pixels in resized_squares(photos, order.side_px, order.workers):
            block = pixels.numpy().data
            file.write(block)
            sha.update(block)
            done += len(pixels)
            progress(done)
    return sha.hexdigest()
