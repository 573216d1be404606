"""Load photographs from .beton files: FFCV's decoder in threads, with our order, crops and flips.

FFCV's own Loader is not used: its crops cannot be seeded, it does not accept given batches, it
reuses the returned buffers, recompiles for every size, and changes torch's number of threads.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from efficiency_bench.data.ahead import DrawnAhead
from efficiency_bench.data.augment import Normalisation, epoch_order
from efficiency_bench.data.crops import centre_crops, random_crops
from efficiency_bench.data.ffcv.beton import Beton
from efficiency_bench.data.ffcv.decode import CropBatch, decode, decode_normalised
from efficiency_bench.data.loader import WHOLE_BATCH, Batch, Shard, batch_sizes
from efficiency_bench.seeds import derived_seed

BATCHES_AHEAD = 3
"""Batches decoded ahead of the one that the device processes: FFCV's default."""


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
        shard: Shard = WHOLE_BATCH,
    ) -> None:
        """Validation crops the centre: ``image_px`` of a shorter side of ``resize_px``.

        The decoder is compiled here, before the clock of a run starts.
        """
        self._train = _BetonReader(train, normalise, device, workers)
        self._val = _BetonReader(val, normalise, device, workers)
        self._image_px = image_px
        self._seed = seed
        pool = ThreadPoolExecutor(1, thread_name_prefix="views")
        draw = functools.partial(_epoch_views, train, min_area, flip, seed)
        self._views = DrawnAhead(pool, draw)
        self._shard = shard
        crops = centre_crops(val.heights, val.widths, image_px / resize_px)
        self._val_views = CropBatch(val, crops, np.zeros(len(val), dtype=bool))
        list(self._val.read([torch.zeros(1, dtype=torch.int64)], self._val_views, image_px))

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """See Loader.epoch.  Crop and flip depend only on seed, epoch and image."""
        order = epoch_order(self._seed, epoch, len(self._train.images))
        parts = order.split(batch_sizes(len(order), batch_size))
        shards = [self._shard.take(whole) for whole in parts[start_step:]]
        return self._train.read(shards, self._views(epoch), image_px)

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation."""
        parts = self._shard.take(torch.arange(len(self._val.images))).split(batch_size)
        return self._val.read(parts, self._val_views, self._image_px)


def _epoch_views(images: Beton, min_area: float, flip: bool, seed: int, epoch: int) -> CropBatch:
    """Where each image is cropped in that epoch, and whether it is mirrored."""
    generator = np.random.default_rng(derived_seed(seed, "views", epoch))
    flips = generator.random(len(images)) < 0.5 * flip
    crops = random_crops(images.heights, images.widths, min_area, generator)
    return CropBatch(images, crops, flips)


class _BetonReader:
    """Decodes given batches of a file in threads, a few batches ahead."""

    def __init__(
        self, images: Beton, normalise: Normalisation, device: torch.device, workers: int
    ) -> None:
        self.images = images
        stored, self._on_cpu = images.mapped(), device.type == "cpu"
        if self._on_cpu:
            self._fill = functools.partial(decode_normalised, stored, normalise.table().numpy())
        else:
            self._fill = functools.partial(decode, stored)
        self._normalise = normalise
        self._device = device
        self._threads = max(1, workers)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="ffcv")

    def read(self, parts: Iterable[Tensor], views: CropBatch, side_px: int) -> Iterator[Batch]:
        """Yield the batches of indices ``parts`` (int64), with the crops and flips in ``views``.

        Images have the channels-last memory format.  UserError for an image that cannot be decoded.
        """
        waiting: deque[tuple[Tensor, Tensor, list[Future[None]]]] = deque()
        try:
            for indices in parts:
                waiting.append(self._started(indices.numpy(), views, side_px))
                if len(waiting) > BATCHES_AHEAD:
                    yield self._finished(*waiting.popleft())
            while waiting:
                yield self._finished(*waiting.popleft())
        finally:  # cancel pending work if the epoch is left early
            for _, _, work in waiting:
                for part in work:
                    part.cancel()

    def _started(
        self, indices: np.ndarray, views: CropBatch, side_px: int
    ) -> tuple[Tensor, Tensor, list[Future[None]]]:
        """Start decoding a batch; return its buffer, its labels and the pending work.

        For a CPU, images are normalised while decoding; for other devices they stay uint8, a
        quarter of the bytes to copy.
        """
        shape = (len(indices), side_px, side_px, 3)
        if self._on_cpu:
            pixels = torch.empty(shape, dtype=torch.float32)
        else:
            pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        pieces = min(self._threads, len(indices))
        split = np.array_split(indices, pieces), np.array_split(pixels.numpy(), pieces)
        work = [
            self._pool.submit(self._fill, views.at(which), out)
            for which, out in zip(*split, strict=True)
        ]
        return pixels, torch.from_numpy(self.images.labels[indices]), work

    def _finished(self, pixels: Tensor, labels: Tensor, work: list[Future[None]]) -> Batch:
        for part in work:
            part.result()
        images = pixels.permute(0, 3, 1, 2)
        if self._on_cpu:
            return images, labels
        images = images.to(self._device, non_blocking=True)
        return self._normalise(images), labels.to(self._device, non_blocking=True)
