"""Random crop, flip and cutout of whole batches on the device, with one generator per step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.loader import WHOLE_BATCH, Shard
from efficiency_bench.seeds import derived_seed


def derived_generator(device: torch.device | str, *parts: int | str) -> torch.Generator:
    """A generator on ``device`` seeded by ``parts``; see derived_seed."""
    return torch.Generator(device=device).manual_seed(derived_seed(*parts))


def epoch_order(seed: int, epoch: int, images: int) -> Tensor:
    """The order of the images in one epoch: a permutation, int64 [images], on the CPU."""
    generator = derived_generator("cpu", seed, "order", epoch)
    return torch.randperm(images, generator=generator)


class Normalisation:
    """Scales pixels to zero mean and unit standard deviation per channel, on the device."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        """``mean`` and ``std`` of pixels in [0, 1], per channel."""
        self._mean = 255 * torch.tensor(mean, device=device)[:, None, None]
        self._inverse_std = 1 / (255 * torch.tensor(std, device=device)[:, None, None])

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise images uint8 [B, C, H, W] to float32 of the same shape."""
        return (images - self._mean).mul_(self._inverse_std)

    def table(self) -> Tensor:
        """The normalised value of each pixel value: float32 [C, 256], on the CPU."""
        values = torch.arange(256, dtype=torch.uint8, device=self._mean.device)
        return self(values.expand(1, len(self._mean), 1, 256))[0, :, 0].cpu().contiguous()


class Draws:
    """Random numbers for a global batch, of which one rank keeps its shard.

    Every rank draws them for the whole batch, so an image is augmented in the same way at any world
    size.
    """

    def __init__(self, generator: torch.Generator, images: int, shard: Shard = WHOLE_BATCH) -> None:
        """``images`` is the size of the global batch."""
        self._generator = generator
        self._images = images
        self._shard = shard

    def uniform(self) -> Tensor:
        """One number in [0, 1) per image: float32 [B]."""
        draws = torch.rand(self._images, generator=self._generator, device=self._generator.device)
        return self._shard.take(draws)

    def integers(self, below: int, each: int) -> Tensor:
        """``each`` integers from 0 to ``below`` - 1 per image: int64 [each, B]."""
        shape = (each, self._images)
        device = self._generator.device
        draws = torch.randint(below, shape, generator=self._generator, device=device)
        return self._shard.take(draws.T).T


def augment(images: Tensor, config: AugmentationConfig, flip: bool, draws: Draws) -> Tensor:
    """Crop, flip and cut out normalised images, float [B, C, H, W], each with its own draw.

    Padding and cutout fill with zeros, which is the mean colour of normalised images.
    """
    if config.crop_pad_px:
        images = random_crop(images, config.crop_pad_px, draws)
    if flip:
        images = random_flip(images, draws)
    if config.cutout_px:
        images = cutout(images, config.cutout_px, draws)
    return images


def random_crop(images: Tensor, pad_px: int, draws: Draws) -> Tensor:
    """Shift each image by up to ``pad_px`` in each direction, filling with zeros."""
    batch, _, height, width = images.shape
    device = images.device
    top, left = draws.integers(2 * pad_px + 1, each=2)[:, :, None, None]
    rows = (top + torch.arange(height, device=device)[:, None]).expand(batch, height, width)
    columns = (left + torch.arange(width, device=device)).expand(batch, height, width)
    padded = F.pad(images, (pad_px,) * 4).permute(0, 2, 3, 1)
    which = torch.arange(batch, device=device)[:, None, None]
    return padded[which, rows, columns].permute(0, 3, 1, 2)


def random_flip(images: Tensor, draws: Draws) -> Tensor:
    """Flip each image horizontally with probability 1/2."""
    return torch.where((draws.uniform() < 0.5)[:, None, None, None], images.flip(3), images)


def cutout(images: Tensor, side_px: int, draws: Draws) -> Tensor:
    """Zero one square of ``side_px`` at a random centre in each image.

    The square may lie partly outside the image (DeVries & Taylor 2017, arXiv:1708.04552).
    """
    _, _, height, width = images.shape
    device = images.device
    row = draws.integers(height, each=1)[0, :, None, None]
    column = draws.integers(width, each=1)[0, :, None, None]
    before, after = side_px // 2, side_px - side_px // 2
    down = torch.arange(height, device=device)[:, None] - row
    across = torch.arange(width, device=device) - column
    inside = (down >= -before) & (down < after) & (across >= -before) & (across < after)
    return images.masked_fill(inside[:, None], 0.0)


def resized(images: Tensor, side_px: int) -> Tensor:
    """Resize images [B, C, H, W] to ``side_px`` with antialiasing, if they have another side."""
    if images.shape[-1] == side_px:
        return images
    return F.interpolate(images, size=side_px, mode="bilinear", align_corners=False, antialias=True)
