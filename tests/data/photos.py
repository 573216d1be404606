"""Small trees of image files, as ImageNet's folders hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A random RGB picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def plant(
    root: Path, train: int = 4, val: int = 3, classes: tuple[str, ...] = ("ant", "bee")
) -> Path:
    """Write ``train`` and ``val`` pictures a class under ``root``, all different; its path."""
    for split, count, first in (("train", train, 0), ("val", val, 10_000)):
        for place, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                picture(first + 100 * place + i, 40 + i, 30).save(folder / f"{i:03}.JPEG", "JPEG")
    return root
