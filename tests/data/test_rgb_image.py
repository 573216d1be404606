"""Images of more than 8 bits a channel: the same levels in every loader and writer, or named."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from efficiency_bench.data import folder, memmap_images
from efficiency_bench.data.ffcv import writer_process
from efficiency_bench.data.folder_loader import DECODERS
from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap
from efficiency_bench.data.rgb_image import open_rgb
from efficiency_bench.errors import UserError
from tests.data.photos import plant
from tests.data.settings import build, data_config

SIDE = 64
RAMP = np.linspace(0, 65535, SIDE * SIDE).round().astype(np.uint16).reshape(SIDE, SIDE)
"""Every grey from black to white: 255 of 256 levels were white before."""

LEVELS = np.floor(RAMP / 257 + 0.5).astype(np.uint8)
"""PNG's own rule for fewer bits (W3C PNG specification, section 13.12): v * 255 / 65535."""


def _png(path: Path, colours: int, kind: int) -> None:
    """A 16-bit PNG written by its specification: Pillow writes grey ones only."""
    pixels = np.repeat(RAMP[:, :, None], colours, axis=2)
    if kind in (4, 6):
        pixels[:, :, -1] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", SIDE, SIDE, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def _pgm(path: Path) -> None:
    path.write_bytes(b"P5 %d %d 65535\n" % (SIDE, SIDE) + RAMP.astype(">u2").tobytes())


DEEP: dict[str, tuple[str, Callable[[Path], object]]] = {
    "grey PNG": ("png", lambda path: _png(path, 1, 0)),
    "grey PNG with transparency": ("png", lambda path: _png(path, 2, 4)),
    "colour PNG": ("png", lambda path: _png(path, 3, 2)),
    "colour PNG with transparency": ("png", lambda path: _png(path, 4, 6)),
    "TIFF": ("tiff", lambda path: Image.fromarray(RAMP).save(path)),
    "PGM": ("pgm", _pgm),
}


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("kind", DEEP)
def test_16_bit_images_are_scaled_to_8_bits(tmp_path: Path, kind: str, decode: str) -> None:
    suffix, write = DEEP[kind]
    path = tmp_path / f"deep.{suffix}"
    write(path)
    image = DECODERS[decode](str(path))
    found = image.permute(1, 2, 0).numpy() if isinstance(image, Tensor) else np.array(image)
    assert found.shape == (SIDE, SIDE, 3)
    # of colours Pillow takes the high byte: one level less at most
    exact = kind in ("grey PNG", "TIFF", "PGM")
    assert np.abs(found.astype(int) - LEVELS[:, :, None]).max() <= (0 if exact else 1)


def test_8_bit_images_are_read_as_by_pillow(tmp_path: Path) -> None:
    for name in plant(tmp_path, train=1, val=1).glob("*/*/*"):
        assert open_rgb(str(name)).tobytes() == Image.open(name).convert("RGB").tobytes()


def _planted(root: Path) -> Path:
    """A tree whose one validation image of ``ant`` is the ramp."""
    plant(root, val=1)
    (root / "val" / "ant" / "000.JPEG").unlink()
    _png(root / "val" / "ant" / "000.png", 1, 0)
    return root


def test_the_folder_loader_and_both_writers_give_the_same_pixels(tmp_path: Path) -> None:
    root = _planted(tmp_path / "source")
    asked = data_config("imagenet", SIDE, root=str(root), resize_px=SIDE)
    images, _ = next(build(asked).validation())
    loaded = ((images[0] + 1) / 2 * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(loaded[0], LEVELS)
    write_memmap(MemmapOptions(root, tmp_path / "out", SIDE, 0), lambda *progress: None)
    assert np.array_equal(memmap_images.load(tmp_path / "out")[0].val.images[0, 0].numpy(), LEVELS)
    image, _ = writer_process._WriterImages(folder.scan(root / "val"), 500)[0]
    assert np.array_equal(np.array(image)[:, :, 0], LEVELS)


def test_32_bit_images_are_rejected_by_name(tmp_path: Path) -> None:
    root = plant(tmp_path / "source", val=1)
    path = root / "val" / "ant" / "001.tiff"
    Image.fromarray(RAMP.astype(np.float32)).save(path)
    message = f"cannot read the image {path}: its pixels have 32 bits"
    with pytest.raises(UserError, match=message):
        list(build(data_config("imagenet", 24, root=str(root))).validation())
    with pytest.raises(UserError, match=message):
        write_memmap(MemmapOptions(root, tmp_path / "out", 16, 0), lambda *progress: None)
    with pytest.raises(SystemExit, match=message):
        writer_process._WriterImages(folder.scan(root / "val"), 500)[1]
