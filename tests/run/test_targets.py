"""Which target a run is held to."""

import pytest
import torch

from efficiency_bench.data import build_data
from efficiency_bench.errors import UserError
from efficiency_bench.run.target import baseline_command, is_baseline, metric_of, resolve_target
from tests.tiny import composed, tiny


def digits(config):
    return build_data(config.data, config.recipe, 0, torch.device(config.device))


def test_top5_from_a_hundred_classes_on_and_top1_below():
    config = composed("experiment=resnet18")
    assert [metric_of(config, classes) for classes in (10, 99, 100, 1000)] == [
        "top1",
        "top1",
        "top5",
        "top5",
    ]


def test_imagenets_target_is_the_published_level_with_its_rounding():
    config = composed("experiment=resnet18", "data=imagenet")
    assert config.target.metric == "top5"
    assert config.target.value == 0.791
    assert config.target.tolerance == 0.0005


def test_a_setting_needs_no_baseline(tmp_path):
    config = tiny(tmp_path, "experiment=resnet18", "target.value=0.6")
    target = resolve_target(config, digits(config))
    assert (target.value, target.source, target.tolerance) == (0.6, "setting", 0.0)


def test_without_a_baseline_the_error_names_the_command_that_measures_it(tmp_path):
    config = tiny(tmp_path, "experiment=resnet18")
    with pytest.raises(UserError, match="efficiency-bench train experiment=alexnet data=digits"):
        resolve_target(config, digits(config))
    assert "data.train_images=300" in baseline_command(config)
    assert f"ledger_dir={tmp_path / 'ledger'}" in baseline_command(config)


def test_alexnet_with_its_own_recipe_is_the_baseline_and_no_other_run_is():
    assert is_baseline(composed("experiment=alexnet", "recipe.epochs=3"))
    assert not is_baseline(composed("experiment=alexnet", "target.value=0.5"))
    assert not is_baseline(composed("model=alexnet", "recipe=small_modern"))
    assert not is_baseline(composed("experiment=resnet18"))
    assert not is_baseline(composed("experiment=alexnet", "data=imagenet"))


def test_top5_on_five_classes_is_refused():
    config = composed("experiment=resnet18", "target.metric=top5")
    with pytest.raises(UserError, match=r"target\.metric=top1"):
        metric_of(config, 5)
