"""The in-memory loader: every image once per epoch, independent of what ran before."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data import memory
from efficiency_bench.data.augment import Normalisation
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.data.loader import batch_sizes
from efficiency_bench.data.memory import MemoryLoader, fits

CPU = torch.device("cpu")
IDENTITY = Normalisation([0.0] * 3, [1.0] * 3, CPU)  # pixels in [0, 1]


def _numbered(images: int, side: int = 4) -> ImageSet:
    """Images that carry their own number in every pixel; label: number modulo 3."""
    numbers = torch.arange(images)
    pixels = numbers.to(torch.uint8)[:, None, None, None].expand(-1, 3, side, side).contiguous()
    return ImageSet(pixels, numbers % 3, ("a", "b", "c"))


def _loader(
    images: int,
    augmentation: AugmentationConfig | None = None,
    flip: bool = False,
    side: int = 4,
    seed: int = 0,
) -> MemoryLoader:
    splits = DataSplits(_numbered(images, side), _numbered(7, side))
    return MemoryLoader(
        splits, augmentation or AugmentationConfig(), flip, IDENTITY, side, seed, CPU
    )


def _numbers(images: Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().long().tolist()


@settings(deadline=None)
@given(images=st.integers(1, 200), batch_size=st.integers(1, 64))
def test_every_image_once_per_epoch(images: int, batch_size: int) -> None:
    batches = list(_loader(images).epoch(0, batch_size, image_px=4))
    seen = [number for batch, _ in batches for number in _numbers(batch)]
    assert sorted(seen) == list(range(images))
    labels = torch.cat([labels for _, labels in batches]).tolist()
    assert labels == [number % 3 for number in seen]
    sizes = [len(labels) for _, labels in batches]
    assert sizes == batch_sizes(images, batch_size)
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size + 1
    if images > 1 and batch_size > 1:
        assert min(sizes) > 1  # batch norm cannot train on a single image


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [
        (10, 5, [5, 5]),
        (12, 5, [5, 5, 2]),
        (11, 5, [5, 6]),  # the remainder of one joins the batch before
        (6, 5, [6]),
        (3, 5, [3]),
        (1, 5, [1]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_the_remainder(images: int, batch_size: int, sizes: list[int]) -> None:
    assert batch_sizes(images, batch_size) == sizes


@given(start=st.integers(0, 6), epoch=st.integers(0, 3))
@settings(deadline=None, max_examples=20)
def test_starting_inside_an_epoch_gives_the_same_batches(start: int, epoch: int) -> None:
    augmentation = AugmentationConfig(crop_pad_px=2, cutout_px=2)
    whole = list(_loader(33, augmentation, flip=True).epoch(epoch, 5, image_px=4))
    rest = list(_loader(33, augmentation, flip=True).epoch(epoch, 5, image_px=4, start_step=start))
    assert len(rest) == max(0, len(whole) - start)
    for (images, labels), (same_images, same_labels) in zip(whole[start:], rest, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


def test_an_epoch_does_not_depend_on_what_ran_before() -> None:
    augmentation = AugmentationConfig(crop_pad_px=1)
    fresh = [images for images, _ in _loader(20, augmentation).epoch(1, 6, image_px=4)]
    used = _loader(20, augmentation)
    list(used.epoch(0, 7, image_px=4))
    list(used.validation(3))
    torch.rand(100)
    random = torch.get_rng_state()
    again = [images for images, _ in used.epoch(1, 6, image_px=4)]
    assert all(torch.equal(a, b) for a, b in zip(fresh, again, strict=True))
    assert torch.equal(torch.get_rng_state(), random)  # and an epoch changes nothing else


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        batches = _loader(50, seed=seed).epoch(epoch, 50, image_px=4)
        return [number for images, _ in batches for number in _numbers(images)]

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(o) for o in orders}) == 4
    assert order(0, 1) == order(0, 1)


def test_augmentation_differs_by_seed_epoch_and_step() -> None:
    """One image, so that only its shift can tell one batch from another."""
    pixels = torch.arange(3 * 16 * 16).remainder(251).to(torch.uint8).view(1, 3, 16, 16)
    labels = torch.zeros(1, dtype=torch.int64)
    images = ImageSet(pixels, labels, ("a",))
    repeated = ImageSet(pixels.expand(6, -1, -1, -1), labels.expand(6), ("a",))

    def shifts(images: ImageSet, seed: int, epoch: int) -> list[bytes]:
        augmentation = AugmentationConfig(crop_pad_px=8)
        splits = DataSplits(images, images)
        loader = MemoryLoader(splits, augmentation, False, IDENTITY, 16, seed, CPU)
        return [batch.numpy().tobytes() for batch, _ in loader.epoch(epoch, 1, image_px=16)]

    assert len({shifts(images, 0, epoch)[0] for epoch in range(6)}) > 3
    assert len({shifts(images, seed, 0)[0] for seed in range(6)}) > 3
    assert len(set(shifts(repeated, 0, 0))) > 3


def test_validation_is_every_image_once_in_order() -> None:
    loader = _loader(5, AugmentationConfig(crop_pad_px=3, cutout_px=3), flip=True)
    for batch_size in (1, 3, 7, 100):
        batches = list(loader.validation(batch_size))
        assert [n for images, _ in batches for n in _numbers(images)] == list(range(7))
        for images, _ in batches:  # not augmented: constant images stay so
            assert torch.equal(images, images[:, :, :1, :1].expand_as(images))


def test_pixels_are_normalised_by_channel() -> None:
    pixels = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)
    images = ImageSet(pixels, torch.zeros(6, dtype=torch.int64), ("a",))
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 0.2]
    loader = MemoryLoader(
        DataSplits(images, images),
        AugmentationConfig(),
        False,
        Normalisation(mean, std, CPU),
        4,
        0,
        CPU,
    )
    ((batch, _),) = loader.validation(6)
    for channel in range(3):
        expected = (pixels[:, channel].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(batch[:, channel].double(), expected, rtol=0, atol=1e-6)
    assert batch.dtype == torch.float32


def test_training_uses_the_requested_size_and_validation_the_data_sets() -> None:
    loader = _loader(6, side=8)
    assert next(loader.epoch(0, 3, image_px=4))[0].shape == (3, 3, 4, 4)
    assert next(loader.epoch(0, 3, image_px=8))[0].shape == (3, 3, 8, 8)
    assert next(loader.validation(3))[0].shape == (3, 3, 8, 8)
    splits = DataSplits(_numbered(6, side=8), _numbered(6, side=8))
    smaller = MemoryLoader(splits, AugmentationConfig(), False, IDENTITY, 6, 0, CPU)
    assert next(smaller.validation(3))[0].shape == (3, 3, 6, 6)


@pytest.mark.parametrize(
    ("pixels", "free", "there"),
    [(80, 100, True), (81, 100, False), (0, 0, True), (10**12, None, True)],
)
def test_a_set_may_fill_four_fifths_of_a_gpus_free_memory(
    pixels: int, free: int | None, there: bool
) -> None:
    assert fits(pixels, free) is there


@pytest.mark.gpu
@pytest.mark.parametrize(("free", "kind"), [(10**9, "cuda"), (0, "cpu")])
def test_a_set_on_the_host_gives_the_same_batches(
    free: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    device = torch.device("cuda")
    splits = DataSplits(_numbered(20), _numbered(7))
    normalise = Normalisation([0.0] * 3, [1.0] * 3, device)
    loader = MemoryLoader(splits, AugmentationConfig(), False, normalise, 4, 0, device)
    assert loader.images.device.type == kind
    assert bool(loader.notes) is (kind == "cpu")
    for (images, labels), (expected, expected_labels) in zip(
        loader.epoch(0, 6, image_px=4), _loader(20).epoch(0, 6, image_px=4), strict=True
    ):
        assert images.device.type == labels.device.type == "cuda"
        torch.testing.assert_close(images.cpu(), expected)
        assert torch.equal(labels.cpu(), expected_labels)
    assert [int(n) for _, n in loader.validation(3) for n in n] == [n % 3 for n in range(7)]


@pytest.mark.gpu
def test_indexing_beyond_two_gigabytes_works_on_a_gpu() -> None:
    """Their offsets do not fit into 32 bits, as with ImageNet in memory."""
    numbers = torch.arange(44_000)
    pixels = torch.zeros(len(numbers), 3, 128, 128, dtype=torch.uint8)
    assert pixels.numel() > 2**31
    pixels[:, 0, 0, 0] = numbers % 251
    images, few = ImageSet(pixels, numbers, ("a",)), _numbered(2, side=128)
    device = torch.device("cuda")
    normalise = Normalisation([0.0] * 3, [1.0] * 3, device)
    splits = DataSplits(images, few)
    loader = MemoryLoader(splits, AugmentationConfig(), False, normalise, 128, 0, device)
    assert loader.images.device.type == "cuda"
    for batch, labels in loader.epoch(0, 1000, image_px=128):
        assert _numbers(batch) == (labels % 251).tolist()


def test_shrinking_is_antialiased() -> None:
    """Columns 1 and 2 of four are white: sampling between them alone would see white only."""
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    pixels[:, :, :, [1, 2, 5, 6]] = 255
    images = ImageSet(pixels, torch.zeros(1, dtype=torch.int64), ("a",))
    loader = MemoryLoader(
        DataSplits(images, images), AugmentationConfig(), False, IDENTITY, 8, 0, CPU
    )
    shrunk, _ = next(loader.epoch(0, 1, image_px=2))
    assert shrunk.mean() == pytest.approx(0.5, abs=0.1)
    assert shrunk.max() < 0.7
