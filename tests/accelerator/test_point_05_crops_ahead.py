"""The crops of an epoch are drawn during the previous one, and do not change by it."""

import threading
from collections import defaultdict

import pytest
import torch

from efficiency_bench.config import AugmentationConfig
from efficiency_bench.data.augment import Normalisation
from efficiency_bench.data.crops import Views
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.data.memory import MemoryLoader

CPU = torch.device("cpu")


@pytest.fixture
def drawn(monkeypatch):
    """Epoch -> the threads that drew its crops."""
    threads, crops = defaultdict(list), Views.crops

    def watched(self, seed, epoch, images, side_px):
        threads[epoch].append(threading.current_thread())
        return crops(self, seed, epoch, images, side_px)

    monkeypatch.setattr(Views, "crops", watched)
    return threads


def loader(device=CPU):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 3, 16, 16), dtype=torch.uint8, generator=generator)
    photos = ImageSet(images, torch.arange(40) % 4, tuple("abcd"))
    normalise = Normalisation([0.5] * 3, [0.25] * 3, device)
    views = Views(0.1, 0.875)
    return MemoryLoader(
        DataSplits(photos, photos), AugmentationConfig(), True, normalise, 12, 7, device,
        views=views,
    )  # fmt: skip


def test_point_05_consecutive_epochs_draw_no_crops_in_the_main_thread(drawn):
    ours = loader()
    for epoch in range(3):
        for _ in ours.epoch(epoch, 8, 12):
            pass
    assert set(drawn) >= {0, 1, 2}
    assert all(len(threads) == 1 for threads in drawn.values())
    assert threading.main_thread() not in {t for threads in drawn.values() for t in threads}


def test_point_05_the_next_epoch_is_drawn_before_it_is_asked_for(drawn):
    ours = loader()
    next(ours.epoch(0, 8, 12))
    ours._crops._next[1].result()
    assert set(drawn) == {0, 1}


@pytest.mark.parametrize("order", [(0, 1, 2), (5, 6), (2, 0, 1)])
def test_point_05_crops_depend_only_on_seed_and_epoch(order):
    ours = loader()
    for epoch in order:
        expected = Views(0.1, 0.875).crops(7, epoch, 40, 16)
        assert torch.equal(ours._crops(epoch), expected)
        first = [images for images, _ in ours.epoch(epoch, 8, 12)]
        again = [images for images, _ in loader().epoch(epoch, 8, 12)]
        assert all(map(torch.equal, first, again))
