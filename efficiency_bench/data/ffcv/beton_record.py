"""The record of a .beton file: how its images are stored, and the digest of their content.

A .beton holds no class names and no trace of its source.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from efficiency_bench.data.ffcv import beton
from efficiency_bench.data.ffcv.beton import Beton
from efficiency_bench.data.stored_files import StoredFileRecord, read_record
from efficiency_bench.errors import UserError
from efficiency_bench.provenance import digest_json

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
    stored = beton.read(file)
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
