"""Loading photographs from .beton files: FFCV's decoder in threads, our order, crops and flips.

FFCV's own Loader is not used: it draws crops that no seed repeats, serves no given batches,
returns buffers that it fills again, compiles anew for every size, and sets torch's threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from efficiency_bench.data.augment import Normalisation, derived_seed, epoch_order
from efficiency_bench.data.beton import Beton
from efficiency_bench.data.crops import centre_crops, random_crops
from efficiency_bench.data.ffcv_decode import decode
from efficiency_bench.data.loader import Batch, batch_sizes

BATCHES_AHEAD = 3
"""Batches decoded while the device works on one: FFCV's own default."""


@dataclass(frozen=True)
class Views:
    """How each image of a file is seen: crops int64 [N, 4], flips bool [N]."""

    crops: np.ndarray
    flips: np.ndarray


class FfcvLoader:
    """A Loader over two .beton files."""

    def __init__(
        self,
        train: Beton,
        val: Beton,
        min_area: float,
        flip: bool,
        normalise: Normalisation,
        image_px: int,
        resize_px: int,
        seed: int,
        device: torch.device,
        workers: int,
    ) -> None:
        """Validation crops the centre that ``image_px`` of a shorter side ``resize_px`` is.

        The decoder is compiled here, before any clock of a run starts.
        """
        self._train = _Reader(train, device, workers)
        self._val = _Reader(val, device, workers)
        self._min_area = min_area
        self._flip = flip
        self._normalise = normalise
        self._image_px = image_px
        self._seed = seed
        crops = centre_crops(val.heights, val.widths, image_px / resize_px)
        self._val_views = Views(crops, np.zeros(len(val), dtype=bool))
        next(self.validation(1))

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """See Loader.epoch.  What an image looks like depends on seed, epoch and image alone."""
        order = epoch_order(self._seed, epoch, len(self._train.images))
        parts = order.split(batch_sizes(len(order), batch_size))
        views = self._epoch_views(epoch)
        return self._normalised(self._train.read(parts[start_step:], views, image_px))

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation."""
        parts = torch.arange(len(self._val.images)).split(batch_size)
        return self._normalised(self._val.read(parts, self._val_views, self._image_px))

    def _epoch_views(self, epoch: int) -> Views:
        images = self._train.images
        generator = np.random.default_rng(derived_seed(self._seed, "views", epoch))
        flips = generator.random(len(images)) < 0.5 * self._flip
        crops = random_crops(images.heights, images.widths, self._min_area, generator)
        return Views(crops, flips)

    def _normalised(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for images, labels in batches:
            yield self._normalise(images), labels


class _Reader:
    """Decodes given batches of a file in threads, a few batches ahead."""

    def __init__(self, images: Beton, device: torch.device, workers: int) -> None:
        self.images = images
        self._stored = images.mapped()
        self._device = device
        self._threads = max(1, workers)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="ffcv")

    def read(self, parts: Iterable[Tensor], views: Views, side_px: int) -> Iterator[Batch]:
        """The batches at ``parts`` (int64 indices): uint8 [B, 3, side, side], channels last, and
        labels, on the device; UserError for an image that cannot be decoded."""
        waiting: deque[tuple[Tensor, Tensor, list[Future[None]]]] = deque()
        for indices in parts:
            waiting.append(self._started(indices.numpy(), views, side_px))
            if len(waiting) > BATCHES_AHEAD:
                yield self._finished(*waiting.popleft())
        while waiting:
            yield self._finished(*waiting.popleft())

    def _started(
        self, indices: np.ndarray, views: Views, side_px: int
    ) -> tuple[Tensor, Tensor, list[Future[None]]]:
        """Buffers of a batch, and the threads' work that fills them."""
        pinned = self._device.type == "cuda"
        shape = (len(indices), side_px, side_px, 3)
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        out, work = pixels.numpy(), []
        for places in np.array_split(np.arange(len(indices)), self._threads):
            if len(places):
                which, lies = indices[places], slice(places[0], places[-1] + 1)
                part = self.images.subset(which), views.crops[which], views.flips[which], out[lies]
                work.append(self._pool.submit(decode, self._stored, part))
        return pixels, torch.from_numpy(self.images.labels[indices]), work

    def _finished(self, pixels: Tensor, labels: Tensor, work: list[Future[None]]) -> Batch:
        for part in work:
            part.result()
        images = pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        return images, labels.to(self._device, non_blocking=True)
