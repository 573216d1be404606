"""How photographs that are stored as squares are seen: random crops in training, else the centre.

Crops are cut and resized on the device, a batch at once.  An output pixel is the mean of points
that lie bilinearly in the image, as many along a side as the crop is times as large, rounded up
(torchvision's roi_align); where nothing shrinks it is one, plain bilinear resizing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align

from efficiency_bench.data.augment import derived_seed
from efficiency_bench.data.crops import centre_crops, random_crops


@dataclass(frozen=True)
class Views:
    """The part of an image that is seen."""

    min_area: float
    """Least part of the area that a random resized crop keeps, a fraction."""
    centre_share: float
    """The side of the validation crop over that of the image, a fraction."""

    def crops(self, seed: int, epoch: int, images: int, side_px: int) -> Tensor:
        """A crop of each image in that epoch: float32 [N, 4]; left, top, right, bottom in px.

        It depends on seed, epoch and image alone, whatever the batch and the device.
        """
        generator = np.random.default_rng(derived_seed(seed, "views", epoch))
        sides = np.full(images, side_px)
        top, left, height, width = random_crops(sides, sides, self.min_area, generator).T
        edges = np.stack([left, top, left + width, top + height], axis=1)
        return torch.from_numpy(edges.astype(np.float32))

    def centre(self, images: Tensor) -> Tensor:
        """The centre of images [B, C, side, side] that a validation sees."""
        side = np.array([images.shape[-1]])
        top, left, height, width = centre_crops(side, side, self.centre_share)[0].tolist()
        return images[..., top : top + height, left : left + width]


def cropped(images: Tensor, crops: Tensor, side_px: int) -> Tensor:
    """Images float32 [B, C, H, W], each cut as ``crops`` [B, 4] says, at ``side_px``."""
    which = torch.arange(len(crops), device=crops.device, dtype=crops.dtype)[:, None]
    return roi_align(images, torch.cat([which, crops], dim=1), side_px, aligned=True)
