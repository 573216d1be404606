"""From the configuration to loaded data: which source, which subset, what augmentation."""

from __future__ import annotations

from collections.abc import Callable

import torch

from efficiency_bench.config import DataConfig, RecipeConfig
from efficiency_bench.data.image_set import DataSplits, ImageSet, check_splits
from efficiency_bench.data.loader import Data
from efficiency_bench.data.memory import MemoryLoader
from efficiency_bench.data.subset import balanced_indices
from efficiency_bench.errors import UserError, unknown

Builder = Callable[[DataConfig, RecipeConfig, int, torch.device], Data]


def build_data(data: DataConfig, recipe: RecipeConfig, seed: int, device: torch.device) -> Data:
    """Load what ``data`` names and serve it with ``recipe``'s augmentation.

    Raises UserError for an unknown name, data that is missing or broken, a subset that cannot
    be drawn and a batch larger than the training set.
    """
    if data.name not in BUILDERS:
        raise unknown("data", data.name, BUILDERS)
    built = BUILDERS[data.name](data, recipe, seed, device)
    if recipe.batch_size > built.train_images:
        raise UserError(
            f"recipe.batch_size={recipe.batch_size} is larger than the training set of"
            f" {built.train_images} images; type recipe.batch_size={built.train_images} or less"
        )
    return built


def in_memory(read: Callable[[DataConfig], DataSplits]) -> Builder:
    """A builder for sets that fit into memory."""

    def build(data: DataConfig, recipe: RecipeConfig, seed: int, device: torch.device) -> Data:
        whole = check_splits(read(data), data.name)
        splits = DataSplits(
            train=cut(whole.train, data.train_images, "data.train_images"),
            val=cut(whole.val, data.val_images, "data.val_images"),
        )
        flip = recipe.augmentation.flip and data.flip_keeps_class
        loader = MemoryLoader(splits, recipe.augmentation, flip, data.mean, data.std, seed, device)
        return Data(
            train=loader,
            classes=splits.train.classes,
            train_images=len(splits.train),
            val_images=len(splits.val),
            digest=splits.digest(),
            eval_batch_size=data.eval_batch_size,
            notes=flip_note(data, recipe),
        )

    return build


def cut(images: ImageSet, count: int | None, key: str) -> ImageSet:
    """A balanced subset of ``count`` images, or all of them."""
    if count is None:
        return images
    indices = balanced_indices(images.labels.tolist(), len(images.classes), count, key)
    return images.subset(torch.tensor(indices))


def flip_note(data: DataConfig, recipe: RecipeConfig) -> tuple[str, ...]:
    """Say it where the data switches the recipe's flip off."""
    if recipe.augmentation.flip and not data.flip_keeps_class:
        return (f"no flip: a mirrored image of {data.name} may be of another class",)
    return ()


def _digits(data: DataConfig) -> DataSplits:
    from efficiency_bench.data import digits  # scikit-learn takes a second to import

    return digits.load()


def _cifar(data: DataConfig) -> DataSplits:
    from efficiency_bench.data import cifar

    return cifar.load(data.name, data.root, data.download)


def _folder(data: DataConfig, recipe: RecipeConfig, seed: int, device: torch.device) -> Data:
    from efficiency_bench.data import folder

    return folder.build(data, recipe, seed, device)


BUILDERS: dict[str, Builder] = {
    "digits": in_memory(_digits),
    "cifar10": in_memory(_cifar),
    "cifar100": in_memory(_cifar),
    "imagenet": _folder,
}
"""Data name -> its builder; ``configs/data`` has one file for each."""
