"""The command line as a whole: one readable message for a mistake, help, the Makefile."""

import re
from pathlib import Path

import pytest

from tests.cli.users import refused
from tests.commands import command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["experiment=resnet81"], ["resnet18", "vgg11"]),
        (["experiment=resnet18", "data=mnist"], ["digits", "cifar10"]),
        (["experiment=resnet18", "recipe.epoch=3"], ["epochs"]),
        (["experiment=resnet18", "recipe.epochs=many"], ["many"]),
        (["experiment=resnet18", "model.name=lenet"], ["alexnet"]),
        (["model=resnet18"], ["experiment="]),
        (["suite=card"], ["-m"]),
        (["experiment=resnet18", "seed=0,1"], ["-m"]),
        (["experiment=resnet18", "target.value=79.1"], ["target.value=0.791"]),
        (["experiment=resnet18", "target.value=1.2"], ["fraction"]),
        (["experiment=resnet18", "target.value=0.5", "recipe.batch_size=5000"], ["1437"]),
        (["experiment=resnet18"], ["experiment=alexnet data=digits"]),
        (["experiment=alexnet", "form=imagenet"], ["form=small"]),
        (["experiment=resnet18", "data=cifar10", "data.download=false"], ["data.root"]),
        (["experiment=resnet18", "data=imagenet", "data.root=nowhere"], ["nowhere"]),
        (["experiment=resnet18", "device=tpu"], ["cuda"]),
        (["experiment=3"], ["name of a file"]),
        (["experiment=resnet18", "suite=null"], ["suite=null", "leave it out"]),
        (["experiment=../../etc"], ["known"]),
        (["experiment=alexnet", "recipe.name=../x"], ["recipe.name"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in value[0] else "",
)
def test_a_user_error_is_one_readable_message(arguments, words, tmp_path, typed):
    refused(typed("train", *arguments, "tracking.wandb=false"), *words)
    assert not list(tmp_path.glob("runs/ledger/*"))


def test_a_command_forked_for_the_tests_behaves_like_the_installed_one(tmp_path):
    """All other tests that start a process rely on this."""
    for words in (("fit", "published", "--json"), ("train", "experiment=none"), ("ledger", "list")):
        forked, installed = (command(*words, cwd=tmp_path, cold=cold) for cold in (False, True))
        assert forked.stdout == installed.stdout
        assert forked.stderr == installed.stderr
        assert forked.returncode == installed.returncode


def test_every_verb_has_help():
    for verb in ([], ["train"], ["fit"], ["models"], ["ledger"], ["ledger", "list"]):
        result = command(*verb, "--help", cwd=Path())
        assert result.returncode == 0
        assert "Usage" in result.stdout


def test_the_makefile_has_the_targets_it_promises():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    assert {"env", "demo", "smoke", "test", "lint", "bench", "gpu-check", "help"} <= targets
