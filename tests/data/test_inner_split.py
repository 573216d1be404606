"""Validation on held-out training images; the validation set stays unseen."""

import pytest
import torch

from efficiency_bench.config_checks import check
from efficiency_bench.data import digits
from efficiency_bench.data.build import build_data, inner_splits
from efficiency_bench.errors import UserError
from efficiency_bench.plan.sizes import set_size
from tests.tiny import composed

WHOLE = digits.load()


def keys(images):
    """The images of a set as bytes, in a set: digits has no image twice."""
    return {image.numpy().tobytes() for image in images}


def test_it_splits_the_training_images_and_ignores_the_validation_set():
    inner = inner_splits(WHOLE.train, 0.2)
    train, val = keys(inner.train.images), keys(inner.val.images)
    assert (len(inner.train), len(inner.val)) == (1150, 287)  # a fifth of 1,437 is 287.4
    assert train.isdisjoint(val)
    assert train | val == keys(WHOLE.train.images)
    assert val.isdisjoint(keys(WHOLE.val.images))


def test_it_is_balanced_and_the_same_for_every_seed():
    inner = inner_splits(WHOLE.train, 0.2)
    counts = torch.bincount(inner.val.labels).tolist()
    assert sorted(set(counts)) == [28, 29]
    assert torch.equal(inner_splits(WHOLE.train, 0.2).val.images, inner.val.images)


def built(*options, seed=0, **settings):
    config = composed("model=alexnet", "recipe=small_2020", "data=digits", *options)
    check(config)
    return build_data(config.data, config.recipe, seed, torch.device("cpu"), **settings)


def test_the_data_digest_depends_on_it():
    plain, inner = built(), built("data.inner_split=0.2")
    assert (inner.train_images, inner.val_images) == (1150, 287)
    assert inner.digest != plain.digest
    assert inner.digest == built("data.inner_split=0.2", seed=1).digest
    assert inner.digest != built("data.inner_split=0.3").digest


def test_of_a_subset_it_holds_out_the_same_share():
    inner = built("data.inner_split=0.2", "data.train_images=300", "data.val_images=100")
    assert (inner.train_images, inner.val_images) == (240, 60)
    config = composed("model=alexnet", "recipe=small_2020", "data.inner_split=0.2")
    assert (set_size(config.data).train_images, set_size(config.data).val_images) == (1150, 287)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("data.inner_split=1",), r"data\.inner_split=1 is not a fraction"),
        (("data.inner_split=-0.1",), "is not a fraction"),
        (("data.inner_split=0.001",), "is not between 10"),
        (("data=imagenet", "data.inner_split=0.2"), "is for digits, cifar10, cifar100"),
    ],
)
def test_a_set_that_cannot_be_split_is_rejected(options, message):
    with pytest.raises(UserError, match=message):
        built(*options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "1,437 training images in 10 classes, 360 validation images in 10"),
        (
            ("data.train_images=300", "data.val_images=100"),
            "300 of 1,437 training images in 10 classes, 100 of 360 for validation",
        ),
        (
            ("data.train_images=300", "data.inner_split=0.2"),
            "300 of 1,437 training images in 10 classes, 360 validation images in 10;"
            " data.inner_split=0.2 validates on 60 of the training images instead",
        ),
    ],
)
def test_the_line_on_the_data_gives_what_the_run_uses(options, words):
    lines = []
    built(*options, tell=lines.append)
    assert lines == [f"digits: {words}"]
