"""Photographs to measure with: scikit-learn's two, cropped at random into ImageNet-like files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

SIZE_PX = (500, 375)
"""Width and height: ImageNet's most frequent size."""

QUALITY = 90
"""Of the JPEG; about 50 kB a file here, where ImageNet's have 110 kB on average."""


def plant_photographs(root: Path, train: int, val: int, classes: int = 4, seed: int = 0) -> Path:
    """Write ``train`` and ``val`` JPEG files under ``root`` in ImageNet's layout."""
    generator = np.random.default_rng(seed)
    whole = [Image.fromarray(photograph) for photograph in load_sample_images().images]
    for split, count in (("train", train), ("val", val)):
        for i in range(count):
            folder = root / split / f"class{i % classes}"
            folder.mkdir(parents=True, exist_ok=True)
            photograph = whole[i % len(whole)]
            share = generator.uniform(0.6, 1.0)  # of 640x427 px: parts from 300x225 px on
            width, height = (round(share * side) for side in SIZE_PX)
            left = int(generator.integers(photograph.width - width + 1))
            top = int(generator.integers(photograph.height - height + 1))
            part = photograph.resize(
                SIZE_PX, Image.Resampling.BICUBIC, (left, top, left + width, top + height)
            )
            part.save(folder / f"{i:05}.JPEG", quality=QUALITY)
    return root
