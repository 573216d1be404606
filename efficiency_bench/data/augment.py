"""Random crop, flip and cutout of whole batches, on the device, from one generator a step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.loader import WHOLE_BATCH, Shard


def derived_seed(*parts: int | str) -> int:
    """A seed in [0, 2^63) from a hash of ``parts``, such as (seed, "augment", epoch, step).

    Order and augmentation so depend on where training stands and on nothing that ran before,
    and neither workers nor a resumption can change them.
    """
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def derived_generator(device: torch.device | str, *parts: int | str) -> torch.Generator:
    """A generator on ``device`` seeded by ``parts``; see derived_seed."""
    return torch.Generator(device=device).manual_seed(derived_seed(*parts))


def epoch_order(seed: int, epoch: int, images: int) -> Tensor:
    """The order of one epoch: a permutation, int64 [images], on the CPU."""
    generator = derived_generator("cpu", seed, "order", epoch)
    return torch.randperm(images, generator=generator)


class Normalisation:
    """From pixels to zero mean and unit deviation per channel, on the device."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        """``mean`` and ``std`` are those of pixels in [0, 1], one a channel."""
        self._mean = 255 * torch.tensor(mean, device=device)[:, None, None]
        self._inverse_std = 1 / (255 * torch.tensor(std, device=device)[:, None, None])

    def __call__(self, images: Tensor) -> Tensor:
        """Images uint8 [B, C, H, W] as float32 of the same shape."""
        return (images - self._mean).mul_(self._inverse_std)

    def table(self) -> Tensor:
        """What becomes of each value of a pixel: float32 [C, 256], on the CPU."""
        values = torch.arange(256, dtype=torch.uint8, device=self._mean.device)
        return self(values.expand(1, len(self._mean), 1, 256))[0, :, 0].cpu().contiguous()


class Draws:
    """Random numbers for a whole batch, of which one process keeps its share.

    They are drawn for all its images whoever takes them, so that an image meets the same fate
    however many processes there are.
    """

    def __init__(self, generator: torch.Generator, images: int, shard: Shard = WHOLE_BATCH) -> None:
        """``images`` is the size of the whole batch."""
        self._generator = generator
        self._images = images
        self._shard = shard

    def uniform(self) -> Tensor:
        """Float32 in [0, 1), one an image: [B]."""
        draws = torch.rand(self._images, generator=self._generator, device=self._generator.device)
        return self._shard.take(draws)

    def integers(self, below: int, each: int) -> Tensor:
        """Whole numbers from 0 to ``below`` - 1, ``each`` an image: int64 [each, B]."""
        shape = (each, self._images)
        device = self._generator.device
        draws = torch.randint(below, shape, generator=self._generator, device=device)
        return self._shard.take(draws.T).T


def augment(images: Tensor, config: AugmentationConfig, flip: bool, draws: Draws) -> Tensor:
    """Normalised images float [B, C, H, W], each cropped, flipped and cut by its own draw.

    Images are normalised already, so the zeros of padding and cutout are the mean colour.
    """
    if config.crop_pad_px:
        images = random_crop(images, config.crop_pad_px, draws)
    if flip:
        images = random_flip(images, draws)
    if config.cutout_px:
        images = cutout(images, config.cutout_px, draws)
    return images


def random_crop(images: Tensor, pad_px: int, draws: Draws) -> Tensor:
    """Shift each image by up to ``pad_px`` in each direction, zeros coming in."""
    batch, _, height, width = images.shape
    device = images.device
    top, left = draws.integers(2 * pad_px + 1, each=2)[:, :, None, None]
    rows = (top + torch.arange(height, device=device)[:, None]).expand(batch, height, width)
    columns = (left + torch.arange(width, device=device)).expand(batch, height, width)
    padded = F.pad(images, (pad_px,) * 4).permute(0, 2, 3, 1)
    which = torch.arange(batch, device=device)[:, None, None]
    return padded[which, rows, columns].permute(0, 3, 1, 2)


def random_flip(images: Tensor, draws: Draws) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    return torch.where((draws.uniform() < 0.5)[:, None, None, None], images.flip(3), images)


def cutout(images: Tensor, side_px: int, draws: Draws) -> Tensor:
    """Zero one square of ``side_px`` in each image, its centre anywhere (DeVries & Taylor
    2017, arXiv:1708.04552), so that it may lie partly outside."""
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
    """Images [B, C, H, W] at ``side_px``, antialiased; the same tensor where it has that side."""
    if images.shape[-1] == side_px:
        return images
    return F.interpolate(images, size=side_px, mode="bilinear", align_corners=False, antialias=True)
