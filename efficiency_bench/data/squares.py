"""ImageNet in memory: photographs stored as squares of one side, mapped and not read.

Each split is one .npy file, uint8 [N, 3, side, side], with its record beside it; the images lie in
the order of their classes, so that the record's counts are the labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from efficiency_bench.data.image_set import DataSplits, ImageSet, check_same_classes
from efficiency_bench.data.written import (
    CONTENT_CHECKED_BYTES,
    SPLITS,
    Record,
    read_record,
    sha256_of,
)
from efficiency_bench.errors import UserError
from efficiency_bench.provenance import digest_json


class SquaresRecord(Record):
    """What is known of one file of squares."""

    command: ClassVar[str] = "write-memory"

    side_px: int
    images_per_class: tuple[int, ...]


def file_of(root: Path, split: str) -> Path:
    """Where the images of a split lie."""
    return root / f"{split}.npy"


def load(root: Path) -> tuple[DataSplits, tuple[str, ...]]:
    """Map ``root``'s two files; notes say what they hold and what was checked.

    UserError for a file that is missing, unfinished, cut off, altered or of another source.
    """
    if not root.is_dir():
        raise UserError(f"no folder {root}; data.root=DIR names the one with train.npy")
    (train, train_record), (val, val_record) = (_mapped(file_of(root, split)) for split in SPLITS)
    check_same_classes(str(root), train.classes, val.classes)
    made_of = {(record.source_digest, record.side_px) for record in (train_record, val_record)}
    if len(made_of) > 1:
        raise UserError(f"train.npy and val.npy in {root} differ in their source or their side")
    digest = digest_json([record.sha256 for record in (train_record, val_record)])
    stored = f"images stored as squares of {train_record.side_px} px, training and validation"
    checked = _content_note(root, (train_record, val_record))
    return DataSplits(train, val, digest), (stored, checked)


def check_whole(root: Path) -> list[SquaresRecord]:
    """Check structure and content of both files; their records, or UserError."""
    records = [_mapped(file_of(root, split))[1] for split in SPLITS]
    for record in records:
        _check_content(root, record)
    return records


def _mapped(file: Path) -> tuple[ImageSet, SquaresRecord]:
    """The images of ``file``, none of them read, and its record."""
    record = read_record(file, SquaresRecord)
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


def _content_note(root: Path, records: Sequence[SquaresRecord]) -> str:
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


def _check_content(root: Path, record: SquaresRecord) -> None:
    file = root / record.file
    if sha256_of(file) != record.sha256:
        raise UserError(f"{file} was altered after it was written; {record.again(file)}")
