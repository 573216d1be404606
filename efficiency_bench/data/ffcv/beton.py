"""Read and check the structure of FFCV's .beton files without FFCV; their digest and record.

FFCV itself opens files that are unfinished or have a truncated table, and returns black images
from them.  The layout is that of FFCV 1.0.2, little-endian: header, field descriptions, one row of
metadata per image, the images, and at the end a table of their sizes.  A .beton file has neither
class names nor its source; these are in the record next to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from efficiency_bench.data.stored_files import StoredFileRecord, read_record
from efficiency_bench.errors import UserError
from efficiency_bench.provenance import digest_json

HEADER = np.dtype(
    [("version", "<u2"), ("fields", "<u2"), ("page", "<u4"), ("images", "<u8"), ("table", "<u8")]
)
FIELD = np.dtype([("type", "u1"), ("name", "S16"), ("arguments", "V1024")])
METADATA = np.dtype(
    [
        ("mode", "u1"),
        ("width", "<u2"),
        ("height", "<u2"),
        ("begin", "<u8"),
        ("padding", "V3"),
        ("label", "<i8"),
    ]
)
PLACE = np.dtype([("image", "<u8"), ("begin", "<u8"), ("size", "<u8")])

VERSION = 2
FIELDS = [(2, b"image"), (1, b"label")]
"""Type and name of each field; FFCV's type numbers are 2 for an RGB image, 1 for an integer."""
JPEG, RAW = 0, 1
"""Values of the metadata's ``mode``: how an image is stored."""


@dataclass(frozen=True)
class Beton:
    """Position, size and label of each image in a file; arrays of shape [N]."""

    path: Path
    raw: np.ndarray
    """True: stored as pixels, uint8 [height, width, 3]; False: as a JPEG."""
    widths: np.ndarray
    """Width in px, int64; likewise ``heights``."""
    heights: np.ndarray
    begins: np.ndarray
    """Offset of the first byte in the file, int64."""
    sizes: np.ndarray
    """Size in bytes, int64."""
    labels: np.ndarray
    """As stored, int64."""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray | list[int]) -> Beton:
        """The images at ``indices``, in that order."""
        names = ("raw", "widths", "heights", "begins", "sizes", "labels")
        return replace(self, **{name: getattr(self, name)[indices] for name in names})

    def mapped(self) -> np.ndarray:
        """The file's bytes, uint8, memory-mapped."""
        return np.asarray(np.memmap(self.path, dtype=np.uint8, mode="r"))

    def content_digest(self, progress: Callable[[int], None] = lambda done: None) -> str:
        """SHA-256 (hex) over every image in order: label, mode, width, height, bytes.

        The position in the file is left out, because it depends on the timing of the writer's
        processes.  ``progress`` is called with the number of images done.
        """
        sha, stored = hashlib.sha256(), self.mapped()
        facts = np.stack([self.labels, self.raw, self.widths, self.heights, self.sizes], axis=1)
        rows = facts.astype("<i8")
        for i, (begin, size) in enumerate(zip(self.begins, self.sizes, strict=True)):
            sha.update(rows[i].data)
            sha.update(stored[begin : begin + size].data)
            progress(i + 1)
        return sha.hexdigest()


def read(path: Path) -> Beton:
    """Read and check the structure of ``path`` without reading any pixels.

    Raises UserError if it is not a .beton file, is unfinished or truncated, or has inconsistent
    tables.  Altered pixels are detected only by ``content_digest``.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file, path.stat().st_size)
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; make it readable, or name another"
            " data.root="
        ) from error


def _read(path: Path, file: BinaryIO, size: int) -> Beton:
    if size < HEADER.itemsize:
        raise _broken(path, "it is too short")
    header = np.frombuffer(file.read(HEADER.itemsize), HEADER)[0]
    if (header["version"], header["fields"]) != (VERSION, len(FIELDS)):
        raise _broken(path, "it is not a .beton file of images with labels")
    images, table = int(header["images"]), int(header["table"])
    if table == 0:
        raise _broken(path, "it was never finished")
    front = HEADER.itemsize + len(FIELDS) * FIELD.itemsize + images * METADATA.itemsize
    if images == 0 or table < front or table + images * PLACE.itemsize != size:
        raise _broken(path, "it or its table is truncated")
    fields = np.frombuffer(file.read(len(FIELDS) * FIELD.itemsize), FIELD)
    if list(zip(fields["type"], fields["name"], strict=True)) != FIELDS:
        raise _broken(path, "it is not a .beton file of images with labels")
    metadata = np.frombuffer(file.read(images * METADATA.itemsize), METADATA)
    file.seek(table)
    places = np.frombuffer(file.read(images * PLACE.itemsize), PLACE)
    return _consistent(path, metadata, places, front, table)


def _consistent(
    path: Path, metadata: np.ndarray, places: np.ndarray, front: int, table: int
) -> Beton:
    """Check that metadata and table agree; images lie between bytes ``front`` and ``table``."""
    begins = metadata["begin"]
    order = np.argsort(begins)
    places = places[np.argsort(places["begin"])]
    ends = np.append(begins[order][1:], np.uint64(table))
    if not np.array_equal(begins[order], places["begin"]):
        raise _broken(path, "its two tables have different offsets")
    # compared without adding: ``begin + size`` could exceed 2^64 in a crafted file
    if (begins < front).any() or (begins >= table).any():
        raise _broken(path, "an image lies outside the file")
    if (places["size"] > ends - begins[order]).any() or (np.diff(begins[order]) == 0).any():
        raise _broken(path, "images overlap")
    sizes = np.empty(len(metadata), dtype=np.int64)
    sizes[order] = places["size"]
    widths, heights = (metadata[name].astype(np.int64) for name in ("width", "height"))
    raw = metadata["mode"] == RAW
    wrong = raw & (sizes != 3 * widths * heights)
    if wrong.any() or (metadata["mode"] > RAW).any() or (widths * heights * sizes == 0).any():
        raise _broken(path, "an image has the wrong size")
    labels = metadata["label"].astype(np.int64)
    return Beton(path, raw, widths, heights, begins.astype(np.int64), sizes, labels)


def _broken(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} cannot be used: {why}\n"
        "remove it and write it again: efficiency-bench data write-ffcv SOURCE"
        f" {path.parent}"
    )


Mode = Literal["jpg", "raw"]


class Storage(BaseModel):
    """How images are stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "jpg"
    """Re-encoded as JPEG, or as pixels."""
    jpeg_quality: int | None = Field(default=90, ge=1, le=100)
    """None if pixels are stored."""
    max_px: int = Field(default=500, ge=16, le=4096)
    """Largest longer side; larger images are reduced to it."""


class BetonRecord(StoredFileRecord):
    """The record of one .beton file."""

    command: ClassVar[str] = "write-ffcv"

    storage: Storage
    content_digest: str
    """SHA-256 of labels and images in order, independent of the layout of the file."""


def read_recorded(file: Path) -> tuple[Beton, BetonRecord]:
    """Read a .beton file and its record; UserError if its structure does not match the record."""
    record = read_record(file, BetonRecord)
    stored = read(file)
    found = (len(stored), file.stat().st_size)
    labels_known = bool(((stored.labels >= 0) & (stored.labels < len(record.classes))).all())
    if found != (record.images, record.bytes) or not labels_known:
        raise UserError(f"{file} does not match its record; {record.again(file)}")
    return stored, record


def check_content(stored: Beton, record: BetonRecord) -> None:
    """Read every byte of the images and labels; UserError if any has changed."""
    if stored.content_digest() != record.content_digest:
        raise UserError(
            f"{stored.path} has been changed since it was written; {record.again(stored.path)}"
        )


def data_digest(train: BetonRecord, val: BetonRecord, cut: tuple[int | None, int | None]) -> str:
    """SHA-256 (hex) over the content of both files, the classes and the subset."""
    return digest_json(
        {
            "train": train.content_digest,
            "val": val.content_digest,
            "classes": train.classes,
            "subset": cut,
        }
    )
