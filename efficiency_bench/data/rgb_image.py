"""Open an image file as 8-bit RGB, in the same way for every loader and writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIXTEEN_BIT_FORMATS = ("PNG", "PPM")
"""Formats whose 16-bit grey Pillow may decode as 32-bit integers from 0 to 65535."""


def open_rgb(path: str) -> Image.Image:
    """The image in ``path`` as Pillow decodes it, converted to RGB.

    16-bit grey is scaled to 8 bits (v / 257, rounded), because Pillow's own conversion clips at 255
    and turns nearly every pixel white.  ValueError for 32-bit pixels, because no file states their
    range; Pillow's own errors for a file that it cannot read.
    """
    with Path(path).open("rb") as file:
        image = Image.open(file)
        wide = image.mode == "I" and image.format in SIXTEEN_BIT_FORMATS
        if image.mode.startswith("I;16") or wide:
            return _scaled(image)
        if image.mode in ("I", "F"):
            raise ValueError(
                f"its pixels have 32 bits (Pillow mode {image.mode}); store 8 or 16 bits"
            )
        return image.convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
