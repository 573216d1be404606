"""Sets that several processes of one machine hold once: real processes, the same memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from efficiency_bench.config import DataConfig, RecipeConfig
from efficiency_bench.data import build_data
from efficiency_bench.data.image_set import DataSplits, ImageSet
from efficiency_bench.data.loader import Share
from efficiency_bench.data.shared_sets import POSSIBLE, Offer, taken
from tests.tiny import TINY, composed

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="memfd is Linux's own")

CPU = torch.device("cpu")

TAKES_AND_MARKS = """
import json, sys
from efficiency_bench.data.shared_sets import taken
sets = taken(json.load(sys.stdin))
print(json.dumps([sets.digest(), sets.train.labels.tolist(), sets.val.classes]))
sets.train.images[0, 0, 0, 0] = 77
"""


def random_sets() -> DataSplits:
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, 3, 5, 5), dtype=torch.uint8, generator=generator)
        pixels[0, 0, 0, 0] = 1
        return ImageSet(pixels, torch.arange(count) % 3, ("a", "b", "c"))

    return DataSplits(images(40), images(9))


def test_another_process_has_the_very_same_memory():
    sets = random_sets()
    offer = Offer(sets)
    assert offer.splits.digest() == sets.digest()
    ended = subprocess.run(
        [sys.executable, "-c", TAKES_AND_MARKS],
        input=json.dumps(offer.where),
        capture_output=True,
        text=True,
        check=True,
    )
    digest, labels, classes = json.loads(ended.stdout)
    assert digest == sets.digest()
    assert labels == sets.train.labels.tolist()
    assert tuple(classes) == sets.val.classes
    assert offer.splits.train.images[0, 0, 0, 0] == 77  # what the other process wrote


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_memory_outlives_its_offer_but_cannot_be_reached_any_more():
    sets = random_sets()
    offer = Offer(sets)
    where, before = offer.where, taken(offer.where)
    descriptors = open_descriptors()
    del offer
    assert open_descriptors() == descriptors - 4  # pixels and labels of two sets
    assert taken(where) is None
    assert before is not None
    assert before.digest() == sets.digest()


def build(share: Share, offered: DataSplits | None = None):
    config = composed("experiment=alexnet", *TINY)
    data: DataConfig = config.data
    recipe: RecipeConfig = config.recipe
    return build_data(data, recipe, 0, CPU, share, offered)


def test_only_the_first_of_several_processes_on_one_machine_offers():
    assert build(Share()).offer is None
    assert build(Share(0, 2, together=False)).offer is None
    assert build(Share(1, 2, together=True)).offer is None
    assert build(Share(0, 2, together=True)).offer is not None


def test_what_was_taken_serves_the_batches_that_reading_it_would():
    first = build(Share(0, 2, together=True))
    assert first.offer is not None
    mapped = build(Share(1, 2, together=True), taken(first.offer.where))
    read = build(Share(1, 2))
    assert mapped.digest == read.digest == first.digest
    assert mapped.notes == read.notes
    for (images, labels), (same_images, same_labels) in zip(
        mapped.train.epoch(0, 32, 8), read.train.epoch(0, 32, 8), strict=True
    ):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
