"""Hand-made .beton files: the layout written down a second time, with struct, without FFCV."""

from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficiency_bench.data.ffcv import beton
from efficiency_bench.data.ffcv.beton import BetonRecord, Storage
from efficiency_bench.data.stored_files import record_path

needs_ffcv = pytest.mark.skipif(
    importlib.util.find_spec("ffcv") is None, reason="FFCV is not installed: make ffcv"
)

HEAD_BYTES = 24
FIELD_BYTES = 1041
ROW_BYTES = 24
FRONT_BYTES = HEAD_BYTES + 2 * FIELD_BYTES


def lay_out(
    file: Path,
    pictures: Sequence[np.ndarray],
    labels: Sequence[int],
    quality: int | None = None,
    backwards: bool = False,
) -> Path:
    """Write pictures uint8 [height, width, 3] as pixels, or as JPEGs of ``quality``.

    ``backwards`` puts the last image first into the file, as a faster worker would have.
    """
    bodies = [
        picture.tobytes() if quality is None else _jpeg(picture, quality) for picture in pictures
    ]
    place = FRONT_BYTES + ROW_BYTES * len(bodies)
    begins, pages = {}, b""
    for i in sorted(range(len(bodies)), reverse=backwards):
        begins[i] = place + len(pages)
        pages += bodies[i]
    head = struct.pack("<HHIQQ", 2, 2, 1 << 23, len(bodies), place + len(pages))
    fields = struct.pack("<B16s1024x", 2, b"image") + struct.pack("<B16s1024x", 1, b"label")
    rows = b"".join(
        struct.pack(
            "<BHHQ3xq", quality is None, picture.shape[1], picture.shape[0], begins[i], labels[i]
        )
        for i, picture in enumerate(pictures)
    )
    table = b"".join(struct.pack("<QQQ", i, begins[i], len(bodies[i])) for i in begins)
    file.write_bytes(head + fields + rows + pages + table)
    return file


def _jpeg(picture: np.ndarray, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return out.getvalue()


def record(file: Path, quality: int | None = None, classes: Sequence[str] = ("ant", "bee")) -> None:
    """The record of a file as it is now."""
    stored = beton.read(file)
    storage = Storage(mode="jpg" if quality else "raw", jpeg_quality=quality, max_px=500)
    written = BetonRecord(
        file=file.name,
        images=len(stored),
        classes=tuple(classes),
        storage=storage,
        source_digest="of a folder",
        content_digest=stored.content_digest(),
        sha256="not looked at",
        bytes=file.stat().st_size,
        versions={},
        passed_over={},
        in_both=0,
    )
    record_path(file).write_text(written.model_dump_json())


def plant_betons(
    root: Path,
    train: Sequence[np.ndarray],
    val: Sequence[np.ndarray],
    quality: int | None = None,
    backwards: bool = False,
) -> Path:
    """Both files with records; the first half of each is of the first class."""
    root.mkdir(parents=True, exist_ok=True)
    for name, pictures in (("train", train), ("val", val)):
        labels = [int(2 * i >= len(pictures)) for i in range(len(pictures))]
        record(lay_out(root / f"{name}.beton", pictures, labels, quality, backwards), quality)
    return root


def noise(count: int, height: int = 30, width: int = 40, seed: int = 0) -> list[np.ndarray]:
    """Random pictures, each a pixel wider than the one before."""
    generator = np.random.default_rng(seed)
    sizes = ((height, width + i, 3) for i in range(count))
    return [generator.integers(0, 256, size, dtype=np.uint8) for size in sizes]
