"""Loading photographs from folders: decoded and augmented by worker processes.

Workers hand over uint8 images, which are normalised on the device.  What happens to an image is
a function of seed, epoch and image alone, whichever process it falls to.

Pillow is what published accuracies were measured with.  simplejpeg with torchvision's resizing of
tensors takes three fifths of the time and sees the same crops; a pixel differs by one level of
256, in rare cases by two (docs/performance.md).
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
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

from efficiency_bench.data.augment import Normalisation, derived_seed, epoch_order
from efficiency_bench.data.folder import PhotoSet, PhotoSplits
from efficiency_bench.data.loader import WHOLE_BATCH, Batch, Shard, batch_sizes
from efficiency_bench.data.rgb_image import open_rgb
from efficiency_bench.errors import UserError

RESIZE_OVER_CROP = 256 / 224
"""Shorter side before the validation crop over the crop's, where not told: ImageNet's custom."""

SQUARES_PER_BATCH = 64
"""Images that ``resized_squares`` hands over together: a few MB, so that progress moves."""

Sample = tuple[Tensor, int] | str
"""An image, uint8 [3, px, px], with its label, or why it could not be read."""


def by_simplejpeg(path: str) -> Tensor:
    """A JPEG as uint8 [3, height, width]; what is none (a PNG named JPEG) is left to Pillow."""
    try:
        pixels = simplejpeg.decode_jpeg(Path(path).read_bytes())
    except ValueError:
        pixels = np.array(open_rgb(path))
    return torch.from_numpy(pixels).permute(2, 0, 1)


DECODERS: dict[str, Callable[[str], Image.Image | Tensor]] = {
    "pillow": open_rgb,
    "simplejpeg": by_simplejpeg,
}
"""What ``data.decode`` names: from a file's name to an RGB image."""


@dataclass(frozen=True)
class PhotoAugmentation:
    """What happens to a training photograph."""

    min_area: float
    """Least part of the area that a random resized crop keeps, a fraction."""
    flip: bool
    auto_augment: bool
    """The ImageNet policy of Cubuk et al. 2019 (arXiv:1805.09501), before the crop's pixels
    become a tensor."""

    @functools.lru_cache(maxsize=8)  # noqa: B019 (frozen and few: one a run)
    def transform(self, image_px: int) -> v2.Compose:
        """From an image, Pillow's or a tensor, to uint8 [3, image_px, image_px]."""
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
        """Validation resizes the shorter side to ``resize_px`` and crops ``image_px``."""
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
        """See Loader.epoch.  An epoch ends the one before, whose workers it takes over."""
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
            # Pinned memory copies without waiting; elsewhere the flag has no effect.
            images = images.to(self._device, non_blocking=True)
            yield self._normalise(images), labels.to(self._device, non_blocking=True)


def resized_squares(photos: PhotoSet, side_px: int, workers: int) -> Iterator[Tensor]:
    """Every photograph in order, in batches, uint8 [n, 3, side_px, side_px].

    The shorter side is resized by Pillow and the centre kept.  UserError for an image that
    cannot be read.
    """
    images = _ValPhotos(_Photos(photos, "pillow"), side_px, side_px)
    batches = torch.arange(len(photos)).split(SQUARES_PER_BATCH)
    reader = _Reader(images, workers, torch.device("cpu"))
    for pixels, _ in reader.read(part.tolist() for part in batches):
        yield pixels


@dataclass(frozen=True)
class _Photos:
    """Image files and the name of the decoder that opens them."""

    files: PhotoSet
    decode: str

    def read(self, index: int, transform: v2.Compose) -> Sample:
        """One image, RGB whatever it was; its EXIF orientation is ignored, as is ImageNet's
        custom.

        A failure is returned, not raised: an exception would reach the user as the worker's
        traceback.
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
        # The transforms draw from torch's global generator: it is lent, and given back.  Seeding
        # it through torch.manual_seed would reseed a GPU's as well.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed(self._seed, "image", epoch, index))
            return self._photos.read(index, self._augmentation.transform(image_px))


class _ValPhotos(Dataset[Sample]):
    """Images by index: shorter side resized, centre cropped."""

    def __init__(self, photos: _Photos, image_px: int, resize_px: int) -> None:
        self._photos = photos
        self._transform = v2.Compose(
            [v2.Resize(resize_px, antialias=True), v2.CenterCrop(image_px), v2.PILToTensor()]
        )

    def __getitem__(self, index: int) -> Sample:
        return self._photos.read(index, self._transform)


def _collate(samples: list[Sample]) -> Batch | str:
    """Stack a batch, or hand on the first failure in it."""
    good = [sample for sample in samples if not isinstance(sample, str)]
    if len(good) < len(samples):
        return next(sample for sample in samples if isinstance(sample, str))
    images, labels = zip(*good, strict=True)
    return torch.stack(images), torch.tensor(labels)


class _Batches:
    """The batches to read next, as a sampler that a DataLoader asks anew each time.

    Apart from its reader, so that the two form no cycle: workers are told to stop only where
    the DataLoader goes by its last reference, and are waited for in vain (5 s each) where the
    garbage collector finds it.
    """

    def __init__(self) -> None:
        self.keys: Iterable[list[Any]] = ()

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.keys)


def _outlive_signals(run: int, _: int) -> None:
    """Keep a loading process alive when a signal to the whole job tells the run to stop.

    The run still needs it for its step, and alone ends it: ``run`` is the number of its process.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_when_told, args=(run,), daemon=True).start()


def _end_when_told(run: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        pass
    os._exit(0)


class _Reader:
    """A DataLoader that reads whatever list of batches it is given, with the same workers."""

    def __init__(self, dataset: Dataset[Sample], workers: int, device: torch.device) -> None:
        self._batches = _Batches()
        self._loader = DataLoader(
            dataset,
            batch_sampler=self._batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            collate_fn=_collate,
            worker_init_fn=functools.partial(_outlive_signals, os.getpid()),
            # A DataLoader draws a seed for its workers; of its own, so that dropout and the
            # like in the main process do not depend on how often data is read.
            generator=torch.Generator(),
        )

    def read(self, batches: Iterable[list[Any]]) -> Iterator[Batch]:
        """Read ``batches`` of the dataset's keys; UserError for an image that cannot be read."""
        self._batches.keys = batches
        for batch in self._loader:
            if isinstance(batch, str):
                raise UserError(batch)
            yield batch
