"""Shards of several processes: together they are the batches of a single process."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.augment import Normalisation
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.data.loader import WHOLE_BATCH, Shard, batch_sizes
from efficiency_bench.data.memory import MemoryLoader
from efficiency_bench.errors import UserError
from tests.data.settings import build, data_config, recipe_config

CPU = torch.device("cpu")


def loader_of(images: int, shard: Shard) -> MemoryLoader:
    """Random pixels, every augmentation on; the label is the image's number."""
    pixels = torch.randint(
        256, (images, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    whole = ImageSet(pixels, torch.arange(images), tuple(map(str, range(images))))
    return MemoryLoader(
        DataSplits(whole, whole),
        AugmentationConfig(crop_pad_px=2, cutout_px=3),
        True,
        Normalisation([0.5] * 3, [0.2] * 3, CPU),
        8,
        0,
        CPU,
        shard,
    )


@settings(deadline=None, max_examples=30)
@given(images=st.integers(4, 60), batch_size=st.integers(4, 20), processes=st.integers(2, 4))
def test_shards_together_are_the_batches_of_one_process(images, batch_size, processes):
    whole = list(loader_of(images, WHOLE_BATCH).epoch(1, batch_size, image_px=8))
    shares = [
        list(loader_of(images, Shard(rank, processes)).epoch(1, batch_size, image_px=8))
        for rank in range(processes)
    ]
    assert all(len(shard) == len(batch_sizes(images, batch_size)) for shard in shares)
    for step, (batch, labels) in enumerate(whole):
        for rank, shard in enumerate(shares):
            assert torch.equal(shard[step][1], labels[rank::processes])
            assert torch.equal(shard[step][0], batch[rank::processes])


@settings(deadline=None, max_examples=30)
@given(images=st.integers(4, 60), batch_size=st.integers(1, 20), processes=st.integers(1, 4))
def test_every_validation_image_is_in_exactly_one_shard(images, batch_size, processes):
    seen = [
        label
        for rank in range(processes)
        for _, labels in loader_of(images, Shard(rank, processes)).validation(batch_size)
        for label in labels.tolist()
    ]
    assert sorted(seen) == list(range(images))


def test_a_batch_too_small_to_shard_is_rejected_before_training():
    digits = data_config("digits", 8, train_images=100, val_images=50)
    # nine batches of 11 and one image, which joins the last
    build(digits, recipe_config(batch_size=11), shard=Shard(0, 8))
    with pytest.raises(UserError, match="3 processes cannot share a batch of 2 images"):
        build(digits, recipe_config(batch_size=49), shard=Shard(0, 3))
