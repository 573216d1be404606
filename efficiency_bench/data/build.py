"""Build the data of a run from its configuration: source, subset and augmentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from efficiency_bench.config import DataConfig, RecipeConfig
from efficiency_bench.data import cifar, folder, memmap_images, train_val_overlap
from efficiency_bench.data.augment import Normalisation
from efficiency_bench.data.crops import Views
from efficiency_bench.data.ffcv import splits as ffcv_splits
from efficiency_bench.data.ffcv.loader import FfcvLoader
from efficiency_bench.data.folder_loader import RESIZE_OVER_CROP, FolderLoader, PhotoAugmentation
from efficiency_bench.data.image_set import (
    DataSplits,
    ImageSet,
    Tell,
    balanced_indices,
    check_splits,
    inner_val_images,
    quiet,
    set_line,
)
from efficiency_bench.data.loader import WHOLE_BATCH, Data, Shard, batch_sizes, within_cores
from efficiency_bench.data.memory import MemoryLoader
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.provenance import digest_json

DEFAULT_ROOT = "data"
"""Folder of the data sets, and of downloads, unless data.root names another one."""

Listed = Callable[[Callable[[], folder.PhotoSplits]], folder.PhotoSplits]

LISTED = ("folder", "imagenet")
"""Data sets whose files are listed when a run starts."""

Builder = Callable[[DataConfig, RecipeConfig, int, torch.device, Shard, Tell], Data]


def build_data(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard = WHOLE_BATCH,
    tell: Tell = quiet,
    listed: Listed = lambda load: load(),
) -> Data:
    """Load the data set of ``data``; the loader applies ``recipe``'s augmentation to its ``shard``.

    ``listed`` returns the image files of a data set in ``LISTED``; other ranks than 0 have them
    from rank 0, so that a million files are listed once.

    ``tell`` gets one line on the data before any of it is rejected.  Raises UserError for an
    unknown name, missing or broken data, fewer than two classes, a validation set that equals the
    training set, an impossible subset, a batch larger than the training set, or one smaller than
    the world size.
    """
    if data.name not in BUILDERS:
        raise unknown("data", data.name, BUILDERS)
    given = (data, recipe, seed, device, shard, tell)
    built = _folder(*given, listed) if data.name in LISTED else BUILDERS[data.name](*given)
    if recipe.batch_size > built.train_images:
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} is larger than the training set of"
            f" {built.train_images} images; type recipe.batch_size={built.train_images} or less"
        )
    check_shard_sizes(built, recipe.batch_size, shard.world_size)
    return built


def check_shard_sizes(data: Data, batch_size: int, processes: int) -> None:
    """UserError if some batch has fewer images than there are processes."""
    least = min(*batch_sizes(data.train_images, batch_size), data.val_images)
    if least < processes:
        raise UserError(
            f"{processes} processes cannot share a batch of {least} images"
            f" ({data.train_images} training images in batches of {batch_size},"
            f" {data.val_images} validation images);\n"
            f"start at most {least} processes, or change recipe.batch_size"
        )


def in_memory(read: Callable[[DataConfig], DataSplits]) -> Builder:
    """A builder for a data set that ``read`` loads into memory."""

    def build(
        data: DataConfig,
        recipe: RecipeConfig,
        seed: int,
        device: torch.device,
        shard: Shard,
        tell: Tell,
    ) -> Data:
        found = read(data)
        counts = [(len(part), len(part.classes)) for part in (found.train, found.val)]
        line = set_line(counts, used=_asked(data))
        tell(f"{data.name}: {line}{_inner_words(data, counts[0][0])}")
        whole = check_splits(found, data.name)
        splits = DataSplits(
            train=cut(whole.train, data.train_images, "data.train_images"),
            val=cut(whole.val, data.val_images, "data.val_images"),
        )
        if data.inner_split:
            splits = inner_splits(splits.train, data.inner_split)
        notes: tuple[str, ...] = ()
        if shard.rank == 0:
            overlap = train_val_overlap.compare_pixels(splits.train.images, splits.val.images)
            notes = overlap.check(data.name).notes
        built = in_memory_data(splits, data, recipe, seed, device, shard)
        return dataclasses.replace(built, notes=notes + built.notes)

    return build


def in_memory_data(
    splits: DataSplits,
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    views: Views | None = None,
) -> Data:
    """The ``Data`` of image sets in memory."""
    flip = recipe.augmentation.flip and data.flip_keeps_class
    normalise = Normalisation(data.mean, data.std, device)
    loader = MemoryLoader(
        splits, recipe.augmentation, flip, normalise, data.image_px, seed, device, shard, views
    )
    return Data(
        train=loader,
        classes=splits.train.classes,
        train_images=len(splits.train),
        val_images=len(splits.val),
        digest=splits.digest(),
        eval_batch_size=data.eval_batch_size,
        notes=loader.notes
        + flip_note(data, recipe)
        + unsupported_notes(data, recipe, ("auto_augment",)),
    )


def _asked(data: DataConfig) -> tuple[int | None, int | None]:
    """How many training and validation images the configuration asks for; None: all."""
    return data.train_images, data.val_images


def _inner_words(data: DataConfig, stored: int) -> str:
    """Which images validate, if they are a part of the ``stored`` training images."""
    if not data.inner_split:
        return ""
    validating = inner_val_images(data.train_images or stored, data.inner_split)
    return (
        f"; data.inner_split={data.inner_split:g} validates on {validating:,} of the training"
        " images instead"
    )


def cut(images: ImageSet, count: int | None, key: str) -> ImageSet:
    """A balanced subset of ``count`` images, or all of them."""
    if count is None:
        return images
    indices = balanced_indices(images.labels.tolist(), len(images.classes), count, key)
    return images.subset(torch.tensor(indices))


def inner_splits(train: ImageSet, share: float) -> DataSplits:
    """Training images alone: a balanced, fixed ``share`` of them validates, the rest train.

    So settings can be chosen without a look at the validation images.
    """
    key = "data.inner_split x training images"
    chosen = balanced_indices(
        train.labels.tolist(), len(train.classes), inner_val_images(len(train), share), key
    )
    validates = torch.zeros(len(train), dtype=torch.bool)
    validates[chosen] = True
    return DataSplits(
        train=train.subset((~validates).nonzero().flatten()),
        val=train.subset(validates.nonzero().flatten()),
    )


def flip_note(data: DataConfig, recipe: RecipeConfig) -> tuple[str, ...]:
    """The note if the data set disables the recipe's flip."""
    if recipe.augmentation.flip and not data.flip_keeps_class:
        return (f"no flip: a mirrored image of {data.name} may belong to another class",)
    return ()


def unsupported_notes(
    data: DataConfig, recipe: RecipeConfig, settings: tuple[str, ...]
) -> tuple[str, ...]:
    """Notes on augmentations of the recipe that this loader does not support."""
    return tuple(
        f"no {name}: the loader of {data.name} does not support it"
        for name in settings
        if getattr(recipe.augmentation, name)
    )


def _digits(data: DataConfig) -> DataSplits:
    from efficiency_bench.data import digits  # scikit-learn takes a second to import

    return digits.load()


def _cifar(data: DataConfig) -> DataSplits:
    return cifar.load(data.name, Path(data.root or DEFAULT_ROOT), data.download)


def _folder(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    tell: Tell,
    listed: Listed = lambda load: load(),
) -> Data:
    """ImageNet, or any images in train/CLASS/ and val/CLASS/."""
    root = Path(data.root or DEFAULT_ROOT)
    allowed = data.allow_left_out
    splits = listed(lambda: folder.load(root, *_asked(data), allow_left_out=allowed, tell=tell))
    overlap: tuple[str, ...] = ()
    if shard.rank == 0:
        overlap = train_val_overlap.compare_files(splits.train, splits.val).check(str(root)).notes
    workers, fewer = within_cores(data.workers, f"data.workers={data.workers}")
    wanted = recipe.augmentation
    loader = FolderLoader(
        splits,
        PhotoAugmentation(
            min_area=wanted.resized_crop_min_area,
            flip=wanted.flip and data.flip_keeps_class,
            auto_augment=wanted.auto_augment,
        ),
        Normalisation(data.mean, data.std, device),
        image_px=data.image_px,
        resize_px=data.resize_px,
        seed=seed,
        device=device,
        workers=workers,
        shard=shard,
        decode=data.decode,
    )
    return Data(
        train=loader,
        classes=splits.train.classes,
        train_images=len(splits.train),
        val_images=len(splits.val),
        digest=splits.digest(),
        eval_batch_size=data.eval_batch_size,
        notes=splits.notes
        + overlap
        + fewer
        + flip_note(data, recipe)
        + unsupported_notes(data, recipe, ("crop_pad_px", "cutout_px")),
    )


def _ffcv(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    tell: Tell,
) -> Data:
    """Photographs in the two .beton files that ``data write-ffcv`` wrote."""
    root = Path(data.root or DEFAULT_ROOT)
    splits = ffcv_splits.load(root, *_asked(data), tell)
    workers, fewer = within_cores(data.workers, f"data.workers={data.workers}")
    loader = FfcvLoader(
        splits.train,
        splits.val,
        min_area=recipe.augmentation.resized_crop_min_area,
        flip=recipe.augmentation.flip and data.flip_keeps_class,
        normalise=Normalisation(data.mean, data.std, device),
        image_px=data.image_px,
        resize_px=data.resize_px or round(data.image_px * RESIZE_OVER_CROP),
        seed=seed,
        device=device,
        workers=workers,
        shard=shard,
    )
    unsupported = unsupported_notes(data, recipe, ("auto_augment", "crop_pad_px", "cutout_px"))
    return Data(
        train=loader,
        classes=splits.classes,
        train_images=len(splits.train),
        val_images=len(splits.val),
        digest=splits.digest,
        eval_batch_size=data.eval_batch_size,
        notes=splits.notes + fewer + flip_note(data, recipe) + unsupported,
    )


def _memmap(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    tell: Tell,
) -> Data:
    """Photographs in the two .npy files that ``data write-memory`` wrote.

    The processes on one machine share the memory of the mapped files.
    """
    counts = _asked(data)
    whole, notes = memmap_images.load(Path(data.root or DEFAULT_ROOT), tell, counts)
    splits = DataSplits(
        train=cut(whole.train, data.train_images, "data.train_images"),
        val=cut(whole.val, data.val_images, "data.val_images"),
        stored_digest=digest_json([whole.digest(), counts]),
    )
    views = photo_views(data, recipe)
    built = in_memory_data(splits, data, recipe, seed, device, shard, views)
    return dataclasses.replace(built, notes=notes + enlarged_note(whole, data) + built.notes)


def enlarged_note(stored: DataSplits, data: DataConfig) -> tuple[str, ...]:
    """The note if stored images are smaller than the network's input."""
    side_px = stored.train.images.shape[-1]
    if data.image_px <= side_px:
        return ()
    return (f"stored images of {side_px} px are enlarged to data.image_px={data.image_px}",)


def photo_views(data: DataConfig, recipe: RecipeConfig) -> Views:
    """The crops of photographs in memory."""
    resize_px = data.resize_px or round(data.image_px * RESIZE_OVER_CROP)
    return Views(recipe.augmentation.resized_crop_min_area, data.image_px / resize_px)


BUILDERS: dict[str, Builder] = {
    "digits": in_memory(_digits),
    "cifar10": in_memory(_cifar),
    "cifar100": in_memory(_cifar),
    "folder": _folder,
    "imagenet": _folder,
    "imagenet_ffcv": _ffcv,
    "imagenet_memory": _memmap,
}
"""Data name -> builder; ``configs/data`` has one file for each."""
