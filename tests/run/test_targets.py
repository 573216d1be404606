"""The target of a run."""

from dataclasses import dataclass

import pytest
import torch

from efficiency_bench.data import build_data
from efficiency_bench.errors import UserError
from efficiency_bench.run.target import baseline_command, is_baseline, metric_of, resolve_target
from tests.tiny import composed, tiny


def digits(config):
    return build_data(config.data, config.recipe, 0, torch.device(config.device))


def test_the_metric_is_top5_from_a_hundred_classes_on_and_top1_below():
    config = composed("experiment=resnet18")
    assert [metric_of(config, classes) for classes in (10, 99, 100, 1000)] == [
        "top1",
        "top1",
        "top5",
        "top5",
    ]


def test_the_target_on_imagenet_is_the_published_level_with_its_rounding():
    config = composed("experiment=resnet18", "data=imagenet")
    assert config.target.metric == "top5"
    assert config.target.value == 0.791
    assert config.target.tolerance == 0.0005


def test_a_configured_target_needs_no_baseline(tmp_path):
    config = tiny(tmp_path, "experiment=resnet18", "target.value=0.6")
    target = resolve_target(config, digits(config))
    assert (target.value, target.source, target.tolerance) == (0.6, "setting", 0.0)


def test_without_a_baseline_the_error_gives_the_command_that_measures_it(tmp_path):
    config = tiny(tmp_path, "experiment=resnet18")
    with pytest.raises(UserError, match="efficiency-bench train experiment=alexnet data=digits"):
        resolve_target(config, digits(config))
    assert "data.train_images=300" in baseline_command(config)
    assert f"ledger_dir={tmp_path / 'ledger'}" in baseline_command(config)


def test_the_baseline_has_the_scale_of_the_run(tmp_path):
    config = tiny(tmp_path, "experiment=resnet18", "model.scale=0.5")
    assert " model.scale=0.5 " in baseline_command(config)


def test_alexnet_with_its_own_recipe_is_the_baseline_and_no_other_run_is():
    assert is_baseline(composed("experiment=alexnet", "recipe.epochs=3"))
    assert not is_baseline(composed("experiment=alexnet", "target.value=0.5"))
    assert not is_baseline(composed("model=alexnet", "recipe=small_modern"))
    assert not is_baseline(composed("experiment=resnet18"))
    assert not is_baseline(composed("experiment=alexnet", "data=imagenet"))


def test_top5_on_five_classes_is_rejected():
    config = composed("experiment=resnet18", "target.metric=top5")
    with pytest.raises(UserError, match=r"target\.metric=top1"):
        metric_of(config, 5)


@dataclass
class Found:
    """The part of the data that a target depends on."""

    classes: tuple[str, ...]
    val_images: int
    digest: str = "0"


def found(classes, val_images):
    return Found(tuple(map(str, range(classes))), val_images)


@pytest.mark.parametrize("name", ["imagenet", "imagenet_ffcv", "imagenet_memory"])
def test_the_published_level_requires_imagenets_classes_and_validation_set(name):
    config = composed("experiment=resnet18", f"data={name}", "data.root=DIR")
    target = resolve_target(config, found(1000, 50_000))
    assert (target.value, target.source) == (0.791, "published")
    part = composed("experiment=resnet18", f"data={name}", "data.val_images=10000")
    assert resolve_target(part, found(1000, 10_000)).source == "published"
    for classes, val_images, words in (
        (20, 1000, "DIR has 20 classes"),
        (999, 50_000, "999 classes"),
        (1000, 49_999, "its validation set has 49,999 images"),
    ):
        with pytest.raises(UserError, match=words) as refused:
            resolve_target(config, found(classes, val_images))
        assert "type target=own" in str(refused.value)


def test_the_command_in_the_error_about_the_published_level_works(tmp_path):
    asked = ("experiment=resnet18", "data=imagenet", f"ledger_dir={tmp_path}", "target=own")
    with pytest.raises(UserError, match="no finished alexnet run") as refused:
        resolve_target(composed(*asked), found(20, 1000))
    command = "train experiment=alexnet data=imagenet target=own data.root=data/imagenet"
    assert command in str(refused.value)
    baseline = composed("experiment=alexnet", *asked[1:])
    assert is_baseline(baseline)
    assert metric_of(baseline, 20) == "top1"
    level = resolve_target(composed(*asked, "target.value=0.6"), found(20, 1000))
    assert (level.metric, level.value, level.tolerance) == ("top1", 0.6, 0.0)
    assert level.source == "setting"


def test_the_command_for_the_baseline_of_a_folder_includes_its_image_size():
    config = composed("experiment=resnet18", "data=folder", "form=small", "data.image_px=32")
    assert "data=folder data.root=data/folder data.image_px=32" in baseline_command(config)


@pytest.mark.parametrize(
    ("classes", "val_images", "level", "refused"),
    [
        (10, 100, 0.19, True),
        (10, 100, 0.2, False),
        (2, 6, 1.0, True),  # chance and three standard errors are over 100 %
        (20, 1000, 0.07, True),
        (20, 1000, 0.08, False),
    ],
)
def test_a_level_that_guessing_may_reach_is_rejected(classes, val_images, level, refused):
    config = composed("experiment=resnet18", f"target.value={level}")
    data = found(classes, val_images)
    if not refused:
        assert resolve_target(config, data).value == level
        return
    with pytest.raises(UserError, match="is too low: guessing among") as error:
        resolve_target(config, data)
    assert len(str(error.value).splitlines()) == 2


def test_the_tolerance_is_subtracted_before_comparing_with_chance():
    config = composed("experiment=resnet18", "target.value=0.2", "target.tolerance=0.05")
    with pytest.raises(UserError, match=r"top1 15\.00% is too low"):
        resolve_target(config, found(10, 100))
