"""FFCV's .beton file: its structure read and checked without FFCV, its digest and its record.

FFCV itself opens files that were never finished, or whose table was cut off, and serves black
images from them.  The layout is that of FFCV 1.0.2, little-endian: header, descriptions of the
fields, one row of metadata an image, the images, and at the very end a table of their sizes.  It
holds no class names and no trace of its source: these are in the record beside it.
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
"""Type and name of each field: FFCV numbers an RGB image 2 and an integer 1."""
JPEG, RAW = 0, 1
"""How an image is stored, as the metadata's ``mode`` says it."""


@dataclass(frozen=True)
class Beton:
    """Where each image of a file lies and what it is; arrays of [N]."""

    path: Path
    raw: np.ndarray
    """Whether the image is stored as pixels, uint8 [height, width, 3], or as a JPEG."""
    widths: np.ndarray
    """Pixels, int64; the same for heights."""
    heights: np.ndarray
    begins: np.ndarray
    """First byte in the file, int64."""
    sizes: np.ndarray
    """Bytes, int64."""
    labels: np.ndarray
    """int64, as stored."""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray | list[int]) -> Beton:
        """The images at ``indices``, in that order."""
        names = ("raw", "widths", "heights", "begins", "sizes", "labels")
        return replace(self, **{name: getattr(self, name)[indices] for name in names})

    def mapped(self) -> np.ndarray:
        """The file's bytes, uint8, read as they are touched."""
        return np.asarray(np.memmap(self.path, dtype=np.uint8, mode="r"))

    def content_digest(self, progress: Callable[[int], None] = lambda done: None) -> str:
        """SHA-256 (hex) over every image in order: label, mode, width, height, bytes.

        Where in the file an image lies is left out: it depends on which process was the faster
        one when it was written.  ``progress`` is told how many images are done.
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
    """Read and check the structure of ``path``; no pixel is read.

    Raises UserError for a file that is none, was never finished, was cut off, or whose tables
    contradict each other.  Pixels that were altered show only in ``content_digest``.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file, path.stat().st_size)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _read(path: Path, file: BinaryIO, size: int) -> Beton:
    if size < HEADER.itemsize:
        raise _broken(path, "it is too short")
    header = np.frombuffer(file.read(HEADER.itemsize), HEADER)[0]
    if (header["version"], header["fields"]) != (VERSION, len(FIELDS)):
        raise _broken(path, "it is no .beton file of images with labels")
    images, table = int(header["images"]), int(header["table"])
    if table == 0:
        raise _broken(path, "it was never finished")
    front = HEADER.itemsize + len(FIELDS) * FIELD.itemsize + images * METADATA.itemsize
    if images == 0 or table < front or table + images * PLACE.itemsize != size:
        raise _broken(path, "it was cut off, or its table was")
    fields = np.frombuffer(file.read(len(FIELDS) * FIELD.itemsize), FIELD)
    if list(zip(fields["type"], fields["name"], strict=True)) != FIELDS:
        raise _broken(path, "it is no .beton file of images with labels")
    metadata = np.frombuffer(file.read(images * METADATA.itemsize), METADATA)
    file.seek(table)
    places = np.frombuffer(file.read(images * PLACE.itemsize), PLACE)
    return _consistent(path, metadata, places, front, table)


def _consistent(
    path: Path, metadata: np.ndarray, places: np.ndarray, front: int, table: int
) -> Beton:
    """The file's images, where metadata and table agree; ``front`` and ``table`` bound them."""
    begins = metadata["begin"]
    order = np.argsort(begins)
    places = places[np.argsort(places["begin"])]
    ends = np.append(begins[order][1:], np.uint64(table))
    if not np.array_equal(begins[order], places["begin"]):
        raise _broken(path, "its two tables name different places")
    # differences of unsigned numbers: ``begin + size`` could pass 2^64 in a crafted file
    if (begins < front).any() or (begins >= table).any():
        raise _broken(path, "an image lies outside of the file")
    if (places["size"] > ends - begins[order]).any() or (np.diff(begins[order]) == 0).any():
        raise _broken(path, "images overlap")
    sizes = np.empty(len(metadata), dtype=np.int64)
    sizes[order] = places["size"]
    widths, heights = (metadata[name].astype(np.int64) for name in ("width", "height"))
    raw = metadata["mode"] == RAW
    wrong = raw & (sizes != 3 * widths * heights)
    if wrong.any() or (metadata["mode"] > RAW).any() or (widths * heights * sizes == 0).any():
        raise _broken(path, "the size of an image is wrong")
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
    """Encoded again as a JPEG, or as pixels."""
    jpeg_quality: int | None = Field(default=90, ge=1, le=100)
    """None where pixels are stored."""
    max_px: int = Field(default=500, ge=16, le=4096)
    """Longer side; larger images are reduced to it."""


class BetonRecord(StoredFileRecord):
    """What is known of one .beton file."""

    command: ClassVar[str] = "write-ffcv"

    storage: Storage
    content_digest: str
    """SHA-256 of labels and images in order; the same however the file was laid out."""


def read_recorded(file: Path) -> tuple[Beton, BetonRecord]:
    """A .beton file, its structure checked and held against its record; UserError otherwise."""
    record = read_record(file, BetonRecord)
    stored = read(file)
    found = (len(stored), file.stat().st_size)
    labels_known = bool(((stored.labels >= 0) & (stored.labels < len(record.classes))).all())
    if found != (record.images, record.bytes) or not labels_known:
        raise UserError(f"{file} is not the file that its record describes; {record.again(file)}")
    return stored, record


def check_content(stored: Beton, record: BetonRecord) -> None:
    """Read every byte of the images and labels; UserError where one was altered."""
    if stored.content_digest() != record.content_digest:
        raise UserError(
            f"{stored.path} was altered after it was written; {record.again(stored.path)}"
        )


def data_digest(train: BetonRecord, val: BetonRecord, cut: tuple[int | None, int | None]) -> str:
    """SHA-256 (hex) that identifies the stored images of both files, classes and subset."""
    return digest_json(
        {
            "train": train.content_digest,
            "val": val.content_digest,
            "classes": train.classes,
            "subset": cut,
        }
    )
