"""Random and centre crops by torchvision's rules, drawn in numpy for a whole epoch at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align

from efficiency_bench.seeds import derived_seed

ASPECT = (3 / 4, 4 / 3)
"""Range of width over height of a random crop, as in torchvision and Inception."""

TRIES = 10
"""Number of draws before a crop that never fitted is replaced by the centre, as in torchvision."""


def random_crops(
    heights: np.ndarray, widths: np.ndarray, min_area: float, generator: np.random.Generator
) -> np.ndarray:
    """A random resized crop of each image: top, left, height, width, int64 [N, 4].

    The distribution is that of torchvision's RandomResizedCrop.  All images draw ``TRIES`` times,
    so the crop of one does not depend on the sizes of the others.
    """
    crops = _central(heights, widths)
    pending = np.ones(len(heights), dtype=bool)
    low, high = np.log(ASPECT)
    for _ in range(TRIES):
        share, shape, down, across = generator.random((4, len(heights)))
        area = heights * widths * (min_area + (1 - min_area) * share)
        aspect = np.exp(low + (high - low) * shape)
        width = np.rint(np.sqrt(area * aspect))
        height = np.rint(np.sqrt(area / aspect))
        fits = (width > 0) & (width <= widths) & (height > 0) & (height <= heights)
        top = np.floor(down * (heights - height + 1))
        left = np.floor(across * (widths - width + 1))
        taken = pending & fits
        crops[taken] = np.stack([top, left, height, width], axis=1)[taken]
        pending &= ~fits
    return crops


def _central(heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The largest centre crop of each image with an aspect within bounds; int64 [N, 4]."""
    aspect = widths / heights
    height = np.where(aspect < ASPECT[0], np.rint(widths / ASPECT[0]), heights)
    width = np.where(aspect > ASPECT[1], np.rint(heights * ASPECT[1]), widths)
    top, left = (heights - height) // 2, (widths - width) // 2
    return np.stack([top, left, height, width], axis=1).astype(np.int64)


def centre_crops(heights: np.ndarray, widths: np.ndarray, share: float) -> np.ndarray:
    """The centre square of each image, its side ``share`` of the shorter one; int64 [N, 4].

    Rounded like torchvision's CenterCrop.
    """
    side = np.maximum(1, np.rint(np.minimum(heights, widths) * share))
    top, left = np.rint((heights - side) / 2), np.rint((widths - side) / 2)
    return np.stack([top, left, side, side], axis=1).astype(np.int64)


@dataclass(frozen=True)
class Views:
    """The crops of square images in memory: random for training, centre for validation."""

    min_area: float
    """Smallest area of a random resized crop, as a fraction of the image."""
    centre_share: float
    """Side of the validation crop as a fraction of the image's side."""

    def crops(self, seed: int, epoch: int, images: int, side_px: int) -> Tensor:
        """The crop of each image in that epoch: left, top, right, bottom in px, float32 [N, 4].

        It depends only on seed, epoch and image, not on the batch or the device.
        """
        generator = np.random.default_rng(derived_seed(seed, "views", epoch))
        sides = np.full(images, side_px)
        top, left, height, width = random_crops(sides, sides, self.min_area, generator).T
        edges = np.stack([left, top, left + width, top + height], axis=1)
        return torch.from_numpy(edges.astype(np.float32))

    def centre(self, images: Tensor) -> Tensor:
        """The validation crop of images [B, C, side, side]."""
        side = np.array([images.shape[-1]])
        top, left, height, width = centre_crops(side, side, self.centre_share)[0].tolist()
        return images[..., top : top + height, left : left + width]


def cropped(images: Tensor, crops: Tensor, side_px: int) -> Tensor:
    """Crop images float32 [B, C, H, W] to ``crops`` [B, 4], resized to ``side_px``."""
    which = torch.arange(len(crops), device=crops.device, dtype=crops.dtype)[:, None]
    return roi_align(images, torch.cat([which, crops], dim=1), side_px, aligned=True)
