"""From image folders to files of squares: written by one process, read again, then named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from efficiency_bench.data import folder
from efficiency_bench.data import squares as stored_squares
from efficiency_bench.data.folder import PhotoSet
from efficiency_bench.data.folder_loader import squares
from efficiency_bench.data.squares import SquaresRecord
from efficiency_bench.data.written import (
    Progress,
    draft_of,
    finish,
    held,
    other_than,
    read_record,
    record_path,
    sha256_of,
    versions_of,
)
from efficiency_bench.errors import UserError

PACKAGES = ("efficiency-bench", "torchvision", "pillow")


@dataclass(frozen=True)
class Order:
    """What to write."""

    source: Path
    out: Path
    side_px: int
    workers: int


def write_squares(order: Order, progress: Progress) -> list[SquaresRecord]:
    """Write ``train.npy`` and ``val.npy`` into ``order.out``, each with its record.

    A file that is there already, of the same source and side, is left as it is; any other is
    refused.  Nothing that looks finished is left where this is broken off.  Raises UserError for
    folders that no run could use, images that cannot be read, and a disk that is too small.
    """
    splits = folder.load(order.source, None, None)
    source_digest = splits.digest()
    todo = {"train": splits.train, "val": splits.val}
    with held(order.out):
        files = {split: stored_squares.file_of(order.out, split) for split in todo}
        found = {split: _already_there(files[split], source_digest, order) for split in todo}
        missing = [photos for split, photos in todo.items() if found[split] is None]
        _check_room(order, sum(map(len, missing)))
        return [
            found[split] or _write_file(files[split], photos, source_digest, order, progress)
            for split, photos in todo.items()
        ]


def _already_there(file: Path, source_digest: str, order: Order) -> SquaresRecord | None:
    if not record_path(file).exists():
        return None
    record = read_record(file, SquaresRecord)
    if (record.source_digest, record.side_px) != (source_digest, order.side_px):
        raise other_than(file)
    return record


def _check_room(order: Order, images: int) -> None:
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
    file: Path, photos: PhotoSet, source_digest: str, order: Order, progress: Progress
) -> SquaresRecord:
    """Write, read again and name one file."""
    draft = draft_of(file)
    try:
        written = _write_pixels(draft, photos, order, lambda n: progress(file.name, n, len(photos)))
        again = folder.scan(photos.folder)
        same = np.array_equal(again.paths, photos.paths)
        if not same or not np.array_equal(again.sizes, photos.sizes):
            raise UserError(f"{photos.folder} was changed while it was read; write it again")
        if sha256_of(draft) != written:
            raise UserError(f"{draft} is not on the disk as it was written; try another disk")
        record = SquaresRecord(
            file=file.name,
            images=len(photos),
            classes=photos.classes,
            side_px=order.side_px,
            images_per_class=tuple(torch.bincount(photos.labels).tolist()),
            source_digest=source_digest,
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
    draft: Path, photos: PhotoSet, order: Order, progress: Callable[[int], None]
) -> str:
    """Every image in order, after NumPy's header; SHA-256 (hex) of what was written.

    Written and not mapped: a full disk ends a process that writes into mapped memory.
    """
    shape = (len(photos), 3, order.side_px, order.side_px)
    done, sha = 0, hashlib.sha256()
    with draft.open("w+b") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(0)
        sha.update(file.read())
        for pixels in squares(photos, order.side_px, order.workers):
            block = pixels.numpy().data
            file.write(block)
            sha.update(block)
            done += len(pixels)
            progress(done)
    return sha.hexdigest()
