"""Load photographs from folders; worker processes decode and augment them.

Workers return uint8 images, which are normalised on the device.  The augmentation of an image
depends only on seed, epoch and image, not on the worker that processes it.

Published accuracies were measured with Pillow.  simplejpeg with torchvision's tensor resizing takes
60 % of the time and uses the same crops; pixels differ by one level of 256, rarely by two
(docs/performance.md).
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from efficiency_bench.data.augment import Normalisation, epoch_order
from efficiency_bench.data.folder import PhotoSet, PhotoSplits
from efficiency_bench.data.loader import WHOLE_BATCH, Batch, Shard, batch_sizes
from efficiency_bench.data.rgb_image import open_rgb
from efficiency_bench.errors import UserError
from efficiency_bench.seeds import derived_seed

RESIZE_OVER_CROP = 256 / 224
"""Default ratio of the resized shorter side to the validation crop: the usual one for ImageNet."""

SQUARES_PER_BATCH = 64
"""Images per batch of ``resized_squares``: a few MB, so that progress is reported often."""

HELD_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
"""All that stop a run (``run/signals.py``), which may be sent to every process of its job."""

Sample = tuple[Tensor, int] | str
"""An image, uint8 [3, px, px], with its label, or the reason why it could not be read."""


def by_simplejpeg(path: str) -> Tensor:
    """Decode a JPEG to uint8 [3, height, width]; other formats (a PNG named .JPEG) go to Pillow."""
    try:
        pixels = simplejpeg.decode_jpeg(Path(path).read_bytes())
    except ValueError:
        pixels = np.array(open_rgb(path))
    return torch.from_numpy(pixels).permute(2, 0, 1)


DECODERS: dict[str, Callable[[str], Image.Image | Tensor]] = {
    "pillow": open_rgb,
    "simplejpeg": by_simplejpeg,
}
"""The decoders that ``data.decode`` names, from a file's path to an RGB image."""


@dataclass(frozen=True)
class PhotoAugmentation:
    """The augmentation of training photographs."""

    min_area: float
    """Smallest area of a random resized crop, as a fraction of the image."""
    flip: bool
    auto_augment: bool
    """The ImageNet policy of Cubuk et al. 2019 (arXiv:1805.09501), applied to the crop before it
    becomes a tensor."""

    @functools.lru_cache(maxsize=8)  # noqa: B019 (frozen, and one per run)
    def transform(self, image_px: int) -> v2.Compose:
        """The transform from a Pillow image or a tensor to uint8 [3, image_px, image_px]."""
        steps: list[torch.nn.Module] = [
            v2.RandomResizedCrop(image_px, scale=(self.min_area, 1.0), antialias=True)
        ]
        if self.flip:
            steps.append(v2.RandomHorizontalFlip())
        if self.auto_augment:
            steps.append(v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET))
        return v2.Compose([*steps, v2.PILToTensor()])


class FolderLoader:
    """A Loader over image folders."""

    def __init__(
        self,
        splits: PhotoSplits,
        augmentation: PhotoAugmentation,
        normalise: Normalisation,
        image_px: int,
        resize_px: int | None,
        seed: int,
        device: torch.device,
        workers: int,
        decode: str,
        shard: Shard = WHOLE_BATCH,
    ) -> None:
        """Validation resizes the shorter side to ``resize_px`` and crops the centre."""
        resize_px = resize_px or round(image_px * RESIZE_OVER_CROP)
        self._splits = splits
        self._normalise = normalise
        self._seed = seed
        self._device = device
        self._shard = shard
        train, val = _Photos(splits.train, decode), _Photos(splits.val, decode)
        self._train = _Reader(_TrainPhotos(train, augmentation, seed), workers, device)
        self._val = _Reader(_ValPhotos(val, image_px, resize_px), workers, device)

    def epoch(
        self, epoch: int, batch_size: int, image_px: int, start_step: int = 0
    ) -> Iterator[Batch]:
        """See Loader.epoch.  Ends the previous epoch and takes over its workers."""
        self._val.start()
        order = epoch_order(self._seed, epoch, len(self._splits.train))
        parts = order.split(batch_sizes(len(order), batch_size))
        return self._normalised(
            self._train.read(
                [(epoch, index, image_px) for index in self._shard.take(whole).tolist()]
                for whole in parts[start_step:]
            )
        )

    def validation(self, batch_size: int) -> Iterator[Batch]:
        """See Loader.validation."""
        indices = self._shard.take(torch.arange(len(self._splits.val))).split(batch_size)
        return self._normalised(self._val.read(part.tolist() for part in indices))

    def _normalised(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for images, labels in batches:
            # non_blocking has an effect only for pinned memory
            images = images.to(self._device, non_blocking=True)
            yield self._normalise(images), labels.to(self._device, non_blocking=True)


def resized_squares(photos: PhotoSet, side_px: int, workers: int) -> Iterator[Tensor]:
    """Yield every photograph in order, in batches, uint8 [n, 3, side_px, side_px].

    Pillow resizes the shorter side, and the centre is kept.  UserError for an unreadable image.
    """
    images = _ValPhotos(_Photos(photos, "pillow"), side_px, side_px)
    batches = torch.arange(len(photos)).split(SQUARES_PER_BATCH)
    reader = _Reader(images, workers, torch.device("cpu"))
    for pixels, _ in reader.read(part.tolist() for part in batches):
        yield pixels


@dataclass(frozen=True)
class _Photos:
    """Image files and the name of their decoder."""

    files: PhotoSet
    decode: str

    def read(self, index: int, transform: v2.Compose) -> Sample:
        """Read one image as RGB; its EXIF orientation is ignored, as usual for ImageNet.

        A failure is returned, not raised: the user would see an exception as a traceback of the
        worker.
        """
        path = self.files.path(index)
        try:
            image = DECODERS[self.decode](str(path))
            return transform(image), int(self.files.labels[index])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return f"cannot read the image {path}: {error}"


class _TrainPhotos(Dataset[Sample]):
    """Augmented images by (epoch, index, side in px)."""

    def __init__(self, photos: _Photos, augmentation: PhotoAugmentation, seed: int) -> None:
        self._photos = photos
        self._augmentation = augmentation
        self._seed = seed

    def __getitem__(self, key: tuple[int, int, int]) -> Sample:
        epoch, index, image_px = key
        # The transforms draw from torch's global generator, whose state is restored afterwards.
        # torch.manual_seed would also reseed the GPU's generator.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed(self._seed, "image", epoch, index))
            return self._photos.read(index, self._augmentation.transform(image_px))


class _ValPhotos(Dataset[Sample]):
    """Images by index, with the shorter side resized and the centre cropped."""

    def __init__(self, photos: _Photos, image_px: int, resize_px: int) -> None:
        self._photos = photos
        self._transform = v2.Compose(
            [v2.Resize(resize_px, antialias=True), v2.CenterCrop(image_px), v2.PILToTensor()]
        )

    def __getitem__(self, index: int) -> Sample:
        return self._photos.read(index, self._transform)


def _collate(samples: list[Sample]) -> Batch | str:
    """Stack a batch, or return the first failure in it."""
    good = [sample for sample in samples if not isinstance(sample, str)]
    if len(good) < len(samples):
        return next(sample for sample in samples if isinstance(sample, str))
    images, labels = zip(*good, strict=True)
    return torch.stack(images), torch.tensor(labels)


class _Batches:
    """A sampler that yields the batches to read next; a DataLoader iterates it for every epoch.

    It is separate from its reader to avoid a reference cycle.  A DataLoader stops its workers at
    once if its last reference goes, but waits 5 s for each if the garbage collector finds it.
    """

    def __init__(self) -> None:
        self.keys: Iterable[list[Any]] = ()

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.keys)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back the signals that stop a run, also in every process that is started meanwhile.

    Such a process has them held back from its first instruction on, so they can never end it.
    Signals to this process arrive at the end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outlive_signals(run: int, _: int) -> None:
    """In a worker whose stop signals are held back, let the process ``run`` end it, and no other.

    A run that is told to stop still needs its workers for its current step.
    """
    threading.Thread(target=_end_when_told, args=(run,), daemon=True).start()


def _end_when_told(run: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        pass
    os._exit(0)


class _Reader:
    """A DataLoader that reads any given list of batches, always with the same workers."""

    def __init__(self, dataset: Dataset[Sample], workers: int, device: torch.device) -> None:
        self._batches = _Batches()
        self._started = False
        self._loader = DataLoader(
            dataset,
            batch_sampler=self._batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            # Python 3.14 would start them from a server, which a signal to the whole job ends.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            pin_memory=device.type == "cuda",
            collate_fn=_collate,
            worker_init_fn=functools.partial(_outlive_signals, os.getpid()),
            # A DataLoader draws a seed for its workers.  With a generator of its own, dropout in
            # the main process does not depend on how often data is read.
            generator=torch.Generator(),
        )

    def start(self) -> None:
        """Start the workers before this process trains, unless they run.

        A process that is forked later shares the memory of training, and each page of it is copied
        when training next writes to it.
        """
        if not self._started:
            self._batches.keys = ()
            self._iterator()

    def _iterator(self) -> Iterator[Batch | str]:
        """Begin to read what the sampler now holds; the first call starts the workers."""
        self._started = True
        with _signals_held():
            return iter(self._loader)

    def read(self, batches: Iterable[list[Any]]) -> Iterator[Batch]:
        """Read ``batches``, lists of the dataset's keys; UserError for an unreadable image."""
        self._batches.keys = batches
        for batch in self._iterator():
            if isinstance(batch, str):
                raise UserError(batch)
            yield batch
