"""The command that repeats a run reproduces its recorded configuration."""

import shlex

import pytest

from efficiency_bench.config import measured_part
from efficiency_bench.identity import config_digest
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.report.page.repeat_command import repeat_command
from tests.experiments import EXPERIMENTS
from tests.ledger.factory import make_entry
from tests.tiny import composed

RESOLVED = ("device=cpu", "precision=fp32", "channels_last=true", "threads=2")


def repeated(*settings):
    """(what a run of these settings records, what its command composes to, the command)."""
    config = measured_part(composed(*settings, *RESOLVED))
    command = repeat_command(make_entry(config=config), "runs/some ledger")
    program, verb, *typed = shlex.split(command)
    assert (program, verb) == ("efficiency-bench", "train")
    return config, composed(*typed), command


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("data", ["digits", "cifar100", "folder", "imagenet"])
def test_every_experiment_is_repeated_exactly(experiment, data):
    config, again, command = repeated(f"experiment={experiment}", f"data={data}", "seed=3")
    assert measured_part(again) == config
    assert again.ledger_dir == "runs/some ledger"
    assert "recipe." not in command  # the recipe's name says it all


@pytest.mark.parametrize(
    "settings",
    [
        ("model=resnet50", "recipe=small_modern", "recipe.epochs=2.5", "recipe.optimizer.lr=0.3"),
        ("model=resnet18", "recipe=small_2020", "budget=0.25", "data.inner_split=0.2"),
        ("model=resnet18", "recipe=small_2020", "model.scale=2", "target.baseline_epochs=30"),
        ("experiment=resnet18", "target.value=0.6", "target.confirmations=1", "repeat=2"),
        ("experiment=vgg11", "data.train_images=500", "recipe.optimizer.betas=[0.8,0.99]"),
        ("experiment=vgg11", "evaluation.per_epoch=7", "+recipe.model_arguments.dropout=0.25"),
        (
            "model=timm",
            "model.name=timm:mobilenetv4_conv_small",
            "model.published=2024-04-16",
            "recipe=small_smoothed",
            "+model.arguments.drop_path_rate=0.1",
        ),
    ],
)
def test_settings_that_differ_are_spelled_out(settings):
    config, again, command = repeated(*settings, "data=digits")
    assert config_digest(measured_part(again)) == config_digest(config)
    assert (again.seed, again.repeat) == (config["seed"], config["repeat"])
    assert "departures" not in command


def test_a_name_with_shell_syntax_is_quoted():
    config = measured_part(composed("experiment=resnet18", "data=digits", *RESOLVED))
    config["model"] = {**config["model"], "name": "a'; rm -rf $HOME; '"}
    typed = shlex.split(repeat_command(make_entry(config=config), "ledger"))
    assert r"model='a\'; rm -rf $HOME; \''" in typed


def test_runs_not_trained_here_have_no_command():
    assert repeat_command(published_entries()[0], "published") is None
    assert repeat_command(make_entry(config={}), "ledger") is None
