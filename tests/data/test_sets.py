"""Image sets: digits, checks, digests, balanced subsets, and notes to the user."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from efficiency_bench.data import digits
from efficiency_bench.data.image_set import DataSplits, ImageSet, balanced_indices, check_splits
from efficiency_bench.errors import UserError
from tests.data.settings import build, data_config, recipe_config


def _set(labels: list[int], classes: str = "ab", side: int = 2) -> ImageSet:
    images = torch.arange(len(labels) * 3 * side * side) % 256
    return ImageSet(
        images.to(torch.uint8).view(-1, 3, side, side), torch.tensor(labels), tuple(classes)
    )


def test_digits_are_the_scans_doubled_and_split() -> None:
    splits = digits.load()
    assert splits.train.images.shape == (1437, 3, 16, 16)
    assert splits.val.images.shape == (360, 3, 16, 16)
    assert torch.bincount(splits.val.labels).tolist() == [36] * 10
    assert splits.train.classes == splits.val.classes == tuple("0123456789")
    for part in (splits.train, splits.val):
        assert torch.equal(part.images[:, 0], part.images[:, 1])
        assert torch.equal(part.images[:, 0], part.images[:, 2])

    # Bilinear doubling by hand: a corner pixel is the scan's own, its neighbours mix 3 : 1.
    scans, labels = load_digits(return_X_y=True)
    scans = scans.reshape(-1, 8, 8) * 255 / 16
    corner = torch.from_numpy(scans[:, 0, 0]).round()
    beside = torch.from_numpy(0.75 * scans[:, 0, 3] + 0.25 * scans[:, 0, 4])
    all_images = torch.cat([splits.train.images, splits.val.images])[:, 0].double()
    all_labels = torch.cat([splits.train.labels, splits.val.labels])
    assert sorted(all_images[:, 0, 0].tolist()) == sorted(corner.tolist())
    assert sorted(all_images[:, 0, 7].tolist()) == pytest.approx(
        sorted(beside.tolist()), abs=0.5001
    )
    assert sorted(all_labels.tolist()) == sorted(labels.tolist())
    # no scan is in both parts: as many different images as the scans themselves have
    distinct = {image.numpy().tobytes() for image in all_images}
    assert len(distinct) == len({scan.tobytes() for scan in scans})


def test_the_digits_never_change() -> None:
    """Entries of different versions are compared by this digest."""
    assert digits.load().digest() == DIGITS_DIGEST


DIGITS_DIGEST = "0c7d1317ffa502169b0fa359109817a428dee90ffd93947b8f2833180ac56cba"


def test_a_digest_depends_on_every_pixel_label_and_class() -> None:
    splits = DataSplits(_set([0, 1, 0]), _set([1]))
    digest = splits.digest()
    assert DataSplits(_set([0, 1, 0]), _set([1])).digest() == digest
    others = []
    for part in (splits.train, splits.val):
        changed = part.images.clone()
        changed[-1, -1, -1, -1] ^= 1
        others.append(ImageSet(changed, part.labels, part.classes))
    different = [
        DataSplits(others[0], splits.val),
        DataSplits(splits.train, others[1]),
        DataSplits(_set([0, 1, 1]), splits.val),
        DataSplits(splits.train, _set([0])),
        DataSplits(_set([0, 1, 0], "ac"), splits.val),
        DataSplits(_set([0, 1]), splits.val),
        DataSplits(splits.val, splits.train),
    ]
    digests = {d.digest() for d in different}
    assert len(digests) == len(different)
    assert digest not in digests


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (_set([]), _set([0]), "the training set is empty"),
        (_set([0]), _set([]), "the validation set is empty"),
        (_set([0, 2]), _set([0]), "a training label lies outside 0..1"),
        (_set([0]), _set([-1]), "a validation label lies outside 0..1"),
        (_set([0]), _set([0], "ac"), "only in training: b; only in validation: c"),
        (_set([0], "abcdefg"), _set([0], "a"), "only in training: b, c, d, e, f and 1 more"),
        (_set([0]), _set([0], "ba"), "the same names in a different order"),
        (
            ImageSet(torch.zeros(2, 3, 2, 2, dtype=torch.uint8), torch.tensor([0]), ("a",)),
            _set([0], "a"),
            "2 training images have 1 labels",
        ),
        (
            ImageSet(torch.zeros(1, 3, 2, 2), torch.tensor([0]), ("a",)),
            _set([0], "a"),
            "not uint8",
        ),
    ],
)
def test_sets_that_cannot_be_used(train: ImageSet, val: ImageSet, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        check_splits(DataSplits(train, val), "set")


@given(data=st.data(), classes=st.integers(1, 6))
def test_a_subset_is_balanced(data: st.DataObject, classes: int) -> None:
    labels = data.draw(st.permutations([label for label in range(classes) for _ in range(5)]))
    count = data.draw(st.integers(classes, len(labels)))
    chosen = balanced_indices(labels, classes, count, "data.train_images")
    assert len(chosen) == len(set(chosen)) == count
    assert chosen == sorted(chosen)
    sizes = [sum(labels[i] == label for i in chosen) for label in range(classes)]
    assert max(sizes) - min(sizes) <= 1
    assert chosen == balanced_indices(labels, classes, count, "data.train_images")


def test_a_subset_is_drawn_at_random() -> None:
    chosen = balanced_indices([0] * 100 + [1] * 100, 2, 20, "data.train_images")
    assert chosen[9] > 20  # the first ten of a class would all lie below 10


@pytest.mark.parametrize("count", [0, 1, 201])
def test_a_subset_of_an_impossible_size(count: int) -> None:
    with pytest.raises(UserError, match=rf"data.val_images={count} is not between 2 .* and 200"):
        balanced_indices([0] * 100 + [1] * 100, 2, count, "data.val_images")


def test_a_subset_that_cannot_be_balanced_names_a_size_that_can() -> None:
    labels = [0] * 3 + [1] * 10
    with pytest.raises(UserError, match=r"needs 5 images of class 0, which has 3; .*=6 or less"):
        balanced_indices(labels, 2, 10, "data.train_images")
    assert balanced_indices(labels, 2, 13, "data.train_images") == list(range(13))


def test_building_digits() -> None:
    data = build(data_config("digits", 16), recipe_config(batch_size=64))
    assert (data.train_images, data.val_images, len(data.classes)) == (1437, 360, 10)
    assert data.steps_per_epoch(64) == 23  # 22 * 64 = 1408, and 29 more
    assert data.steps_per_epoch(359) == 4  # 4 * 359 = 1436: the one left joins
    images, labels = next(data.train.epoch(0, 64, image_px=16))
    assert images.shape == (64, 3, 16, 16)
    assert labels.shape == (64,)
    assert (images.min(), images.max()) == (-1, 1)
    assert sum(len(labels) for _, labels in data.validation()) == 360
    assert data.digest == DIGITS_DIGEST
    assert data.notes == ()


def test_the_seed_changes_the_order_but_not_the_data() -> None:
    one, two = (build(data_config("digits", 16, train_images=50), seed=seed) for seed in (1, 2))
    assert one.digest == two.digest
    orders = [
        torch.cat([labels for _, labels in data.train.epoch(0, 4, image_px=16)]).tolist()
        for data in (one, two)
    ]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_a_subset_has_its_own_digest() -> None:
    whole = build(data_config("digits", 16))
    part = build(data_config("digits", 16, train_images=100, val_images=20))
    assert (part.train_images, part.val_images) == (100, 20)
    assert part.digest != whole.digest
    labels = torch.cat([labels for _, labels in part.train.epoch(0, 10, image_px=16)])
    assert torch.bincount(labels).tolist() == [10] * 10


def test_augmentations_that_the_data_forbids_are_off_and_reported() -> None:
    data = build(
        data_config("digits", 16, flip_keeps_class=False),
        recipe_config(flip=True, auto_augment=True),
    )
    assert [note.split(":")[0] for note in data.notes] == ["no flip", "no auto_augment"]
    plain = build(data_config("digits", 16), recipe_config())
    for (images, _), (same, _) in zip(
        data.train.epoch(0, 200, image_px=16), plain.train.epoch(0, 200, image_px=16), strict=True
    ):
        assert torch.equal(images, same)
    mirrored = build(data_config("digits", 16), recipe_config(flip=True))
    assert mirrored.notes == ()
    images, _ = next(mirrored.train.epoch(0, 200, image_px=16))
    assert not torch.equal(images, next(plain.train.epoch(0, 200, image_px=16))[0])


def test_a_batch_larger_than_the_data_is_rejected() -> None:
    with pytest.raises(UserError, match=r"recipe.batch_size=101 is larger .* of 100 images"):
        build(data_config("digits", 16, train_images=100), recipe_config(batch_size=101))


def test_an_unknown_name_is_rejected() -> None:
    with pytest.raises(UserError, match=r"'cifar1O'.*did you mean cifar10.*imagenet"):
        build(data_config("cifar1O", 32))
