"""From the configuration to loaded data: which source, which subset, what augmentation."""

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
"""Where data is looked for, and downloaded to, unless data.root names a folder."""

Builder = Callable[[DataConfig, RecipeConfig, int, torch.device, Shard, Tell], Data]


def build_data(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard = WHOLE_BATCH,
    tell: Tell = quiet,
) -> Data:
    """Load what ``data`` names and serve a process's ``shard`` with ``recipe``'s augmentation.

    ``tell`` is given one line on what is there, before anything of it is refused.
    Raises UserError for an unknown name, data that is missing or broken, fewer than two classes, a
    validation set that is the training set, a subset that cannot be drawn, a batch larger than
    the training set, and one too small to be shared.
    """
    if data.name not in BUILDERS:
        raise unknown("data", data.name, BUILDERS)
    built = BUILDERS[data.name](data, recipe, seed, device, shard, tell)
    if recipe.batch_size > built.train_images:
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} is larger than the training set of"
            f" {built.train_images} images; type recipe.batch_size={built.train_images} or less"
        )
    check_shard_sizes(built, recipe.batch_size, shard.world_size)
    return built


def check_shard_sizes(data: Data, batch_size: int, processes: int) -> None:
    """Refuse a set of which some batch has fewer images than there are processes."""
    least = min(*batch_sizes(data.train_images, batch_size), data.val_images)
    if least < processes:
        raise UserError(
            f"{processes} processes cannot share a batch of {least} images"
            f" ({data.train_images} training images in batches of {batch_size},"
            f" {data.val_images} validation images);\n"
            f"start {least} processes or fewer, or change recipe.batch_size"
        )


def in_memory(read: Callable[[DataConfig], DataSplits]) -> Builder:
    """A builder for sets that fit into memory."""

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
        tell(f"{data.name}: {set_line(*counts)}")
        whole = check_splits(found, data.name)
        splits = DataSplits(
            train=cut(whole.train, data.train_images, "data.train_images"),
            val=cut(whole.val, data.val_images, "data.val_images"),
        )
        if data.inner_split:
            splits = inner_splits(splits.train, data.inner_split)
        notes: tuple[str, ...] = ()
        if shard.rank == 0:
            both = train_val_overlap.compare_pixels(splits.train.images, splits.val.images)
            notes = both.check(data.name).notes
        built = served(splits, data, recipe, seed, device, shard)
        return dataclasses.replace(built, notes=notes + built.notes)

    return build


def served(
    splits: DataSplits,
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    views: Views | None = None,
) -> Data:
    """Sets in memory, with everything that a run needs to know of them."""
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
        notes=loader.notes + flip_note(data, recipe) + off_notes(data, recipe, ("auto_augment",)),
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
    """Say it where the data switches the recipe's flip off."""
    if recipe.augmentation.flip and not data.flip_keeps_class:
        return (f"no flip: a mirrored image of {data.name} may be of another class",)
    return ()


def off_notes(data: DataConfig, recipe: RecipeConfig, settings: tuple[str, ...]) -> tuple[str, ...]:
    """Say it where the recipe asks for augmentation that this kind of data has none of."""
    return tuple(
        f"no {name}: {data.name} is not loaded that way"
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
) -> Data:
    """ImageNet and whatever else lies in train/CLASS/ and val/CLASS/."""
    root = Path(data.root or DEFAULT_ROOT)
    splits = folder.load(
        root, data.train_images, data.val_images, allow_left_out=data.allow_left_out, tell=tell
    )
    both: tuple[str, ...] = ()
    if shard.rank == 0:
        both = train_val_overlap.compare_files(splits.train, splits.val).check(str(root)).notes
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
        + both
        + fewer
        + flip_note(data, recipe)
        + off_notes(data, recipe, ("crop_pad_px", "cutout_px")),
    )


def _ffcv(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    tell: Tell,
) -> Data:
    """Photographs in the two .beton files that ``data write-ffcv`` has written."""
    root = Path(data.root or DEFAULT_ROOT)
    splits = ffcv_splits.load(root, data.train_images, data.val_images, tell)
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
    off = off_notes(data, recipe, ("auto_augment", "crop_pad_px", "cutout_px"))
    return Data(
        train=loader,
        classes=splits.classes,
        train_images=len(splits.train),
        val_images=len(splits.val),
        digest=splits.digest,
        eval_batch_size=data.eval_batch_size,
        notes=splits.notes + fewer + flip_note(data, recipe) + off,
    )


def _squares(
    data: DataConfig,
    recipe: RecipeConfig,
    seed: int,
    device: torch.device,
    shard: Shard,
    tell: Tell,
) -> Data:
    """Photographs as the squares that ``data write-memory`` has stored.

    Processes of one machine share the files' pages.
    """
    whole, notes = memmap_images.load(Path(data.root or DEFAULT_ROOT), tell)
    counts = (data.train_images, data.val_images)
    splits = DataSplits(
        train=cut(whole.train, data.train_images, "data.train_images"),
        val=cut(whole.val, data.val_images, "data.val_images"),
        stored_digest=digest_json([whole.digest(), counts]),
    )
    built = served(splits, data, recipe, seed, device, shard, photo_views(data, recipe))
    return dataclasses.replace(built, notes=notes + enlarged_note(whole, data) + built.notes)


def enlarged_note(stored: DataSplits, data: DataConfig) -> tuple[str, ...]:
    """Say it where even a whole stored image is smaller than what the network is given."""
    side_px = stored.train.images.shape[-1]
    if data.image_px <= side_px:
        return ()
    return (f"images of {side_px} px are enlarged to data.image_px={data.image_px}",)


def photo_views(data: DataConfig, recipe: RecipeConfig) -> Views:
    """How photographs in memory are seen."""
    resize_px = data.resize_px or round(data.image_px * RESIZE_OVER_CROP)
    return Views(recipe.augmentation.resized_crop_min_area, data.image_px / resize_px)


BUILDERS: dict[str, Builder] = {
    "digits": in_memory(_digits),
    "cifar10": in_memory(_cifar),
    "cifar100": in_memory(_cifar),
    "folder": _folder,
    "imagenet": _folder,
    "imagenet_ffcv": _ffcv,
    "imagenet_memory": _squares,
}
"""Data name -> its builder; ``configs/data`` has one file for each."""
