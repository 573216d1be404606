"""The JSON beside a .beton file: what it was made of, how, and the digests of what came out.

A .beton holds no class names and no trace of its source.  The record is written last, so that a
file without one was never finished.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from efficiency_bench.data import beton
from efficiency_bench.data.beton import Beton
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


class BetonRecord(BaseModel):
    """What is known of one .beton file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    images: int
    classes: tuple[str, ...]
    storage: Storage
    source_digest: str
    """Of the folders that it was made of, as ``data=imagenet`` has it."""
    content_digest: str
    """SHA-256 of labels and images in order; the same however the file was laid out."""
    sha256: str
    """Of the file, for ``sha256sum``."""
    bytes: int
    versions: dict[str, str]
    """Packages that decoded, reduced and encoded the images."""


def record_path(file: Path) -> Path:
    """Where the record of a .beton file lies."""
    return file.with_name(f"{file.name}.json")


def read_record(file: Path) -> BetonRecord:
    """The record of ``file``; UserError where there is none or it is no record of it."""
    path = record_path(file)
    try:
        record = BetonRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"no {path}: {file.name} was never finished; {_again(file)}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise UserError(f"{path} is no record of a .beton file; {_again(file)}") from error
    if record.file != file.name:
        raise UserError(f"{path} is the record of {record.file}; {_again(file)}")
    return record


def read_recorded(file: Path) -> tuple[Beton, BetonRecord]:
    """A .beton file, its structure checked and held against its record; UserError otherwise."""
    if not file.is_file():
        raise UserError(
            f"no {file}; data.root=DIR names the folder that"
            " `efficiency-bench data write-ffcv SOURCE DIR` has written"
        )
    record = read_record(file)
    stored = beton.read(file)
    found = (len(stored), file.stat().st_size)
    labels_known = bool(((stored.labels >= 0) & (stored.labels < len(record.classes))).all())
    if found != (record.images, record.bytes) or not labels_known:
        raise UserError(f"{file} is not the file that its record describes; {_again(file)}")
    return stored, record


def check_content(stored: Beton, record: BetonRecord) -> None:
    """Read every byte of the images and labels; UserError where one was altered."""
    if stored.content_digest() != record.content_digest:
        raise UserError(f"{stored.path} was altered after it was written; {_again(stored.path)}")


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


def _again(file: Path) -> str:
    return f"write it again: efficiency-bench data write-ffcv SOURCE {file.parent}"
