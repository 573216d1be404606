"""Invalid settings: the error message, and that what it says to type works."""

import dataclasses
import math
import shlex
from pathlib import Path

import pytest
import wandb
from hydra._internal.utils import get_args_parser
from wandb.errors import UsageError

from efficiency_bench import config, hydra_app
from efficiency_bench.config_checks import check, check_wandb_names
from efficiency_bench.config_messages import OPTIONS, VALUED_OPTIONS, invalid_option
from efficiency_bench.errors import UserError
from tests.cli.users import refused
from tests.commands import command
from tests.tiny import composed

RUN = ("experiment=resnet18", "data=digits", "tracking.wandb=false")
TIMM = ("model=timm", "recipe=small_smoothed", "data=digits")


def checked(arguments):
    for job in hydra_app.compose(arguments):
        check(job.config)


def error_message(*arguments):
    """Return the error message of the command line."""
    with pytest.raises(UserError) as mistake:
        checked(arguments)
    assert len(str(mistake.value).splitlines()) <= 2
    return str(mistake.value)


def numbers(value, key=""):
    """Yield (dotted key, how to set it) of every number of a configuration."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            below = getattr(value, field.name)
            name = f"{key}.{field.name}" if key else field.name
            if isinstance(below, float) or (type(below) is int):
                yield name, lambda v, field=field: setattr(value, field.name, v)
            elif isinstance(below, list) and below and isinstance(below[0], float):
                yield f"{name}[0]", lambda v, below=below: below.__setitem__(0, v)
            else:
                yield from numbers(below, name)


def whole():
    return composed(*RUN, "target.value=0.5", "threads=1", "price_usd_per_hour=1")


def test_the_configuration_has_numbers_to_check():
    found = {key for key, _ in numbers(whole())}
    assert len(found) > 30
    assert {"recipe.optimizer.lr", "recipe.optimizer.betas[0]", "data.std[0]", "seed"} <= found


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**30])
@pytest.mark.parametrize("key", [key for key, _ in numbers(whole())])
def test_a_non_finite_number_is_rejected_with_its_key(key, value):
    settings = whole()
    check(settings)
    dict(numbers(settings))[key](value)
    with pytest.raises(UserError) as mistake:
        check(settings)
    assert f"{key}=" in str(mistake.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_a_number_among_builder_arguments_is_checked_too(value):
    line = error_message(
        *TIMM, "model.name=timm:x", "model.published=2024-01-01", f"+model.arguments.a={value}"
    )
    assert line.startswith("model.arguments.a=")
    line = error_message(*RUN, f"+recipe.model_arguments.a=[1,{value}]")
    assert line.startswith("recipe.model_arguments.a[1]=")


def test_an_invalid_learning_rate_gives_a_two_line_error(tmp_path):
    for run in ((), ("-m", "seed=0,1")):
        done = command("train", *run, *RUN, "recipe.optimizer.lr=nan", cwd=tmp_path)
        refused(done, "recipe.optimizer.lr=nan is not a finite number")
    assert not list(tmp_path.iterdir())


def test_the_invalid_run_of_a_sweep_is_reported(tmp_path):
    done = command("train", "-m", *RUN, "recipe.optimizer.lr=0.1,inf,0.2", cwd=tmp_path)
    refused(done, "run 2/3", "none was started", "recipe.optimizer.lr=inf")
    done = command("train", "-m", *TIMM, "model.name=timm:x", "seed=0,1", cwd=tmp_path)
    refused(done, "run 1,", "none was started", "model.published")


WANTED = (
    "a=b",
    "Größe",
    "(a)",
    "it's",
    'say "x"',
    "a#b",
    "a;b",
    "a&b",
    "a!",
    "a^b",
    "[a",
    "{a",
    "a\\b=",
    "a=\\",
    'a\\"=',
    "日本",
)


@pytest.mark.parametrize("wanted", WANTED)
def test_the_error_for_an_unquoted_argument_shows_it_quoted_for_the_shell(wanted):
    line = error_message(*RUN, f"run_dir={wanted}")
    assert "Exception" not in line
    assert "expecting" not in line
    assert repr(f"run_dir={wanted}") in line
    (typed,) = shlex.split(line.splitlines()[1].removeprefix("type: "))
    (job,) = hydra_app.compose([*RUN, typed])
    assert job.config.run_dir == wanted


def test_the_error_for_a_tilde_shows_the_expanded_folder(monkeypatch):
    for home in ("/home/somebody", "/home/some body=1"):
        monkeypatch.setenv("HOME", home)
        line = error_message(*RUN, "data.root=~/images")
        assert "'data.root=~/images' cannot be read: ~ is not expanded" in line
        (typed,) = shlex.split(line.splitlines()[1].removeprefix("type: "))
        (job,) = hydra_app.compose([*RUN, typed])
        assert job.config.data.root == f"{home}/images"


def test_values_of_a_sweep_are_quoted_one_by_one():
    line = error_message("-m", *RUN, "run_dir=a=1,b=2")
    (typed,) = shlex.split(line.splitlines()[1].removeprefix("type: "))
    jobs = hydra_app.compose(["-m", *RUN, typed])
    assert [job.config.run_dir for job in jobs] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("größe=1", ["unknown key 'größe'", "seed"]),
        ("run_dir", ["'run_dir' is not KEY=VALUE"]),
        ("=x", ["no key"]),
        ("run_dir=a\x1b[2J", ["control character", r"\x1b"]),
        ("recipe.optimizer.betas=[0.9", ["bracket", "'recipe.optimizer.betas=[0.9,0.999]'"]),
        ("seed=abc", ["seed=abc", "a whole number", "type seed=1"]),
        ("recipe.optimizer.lr=fast", ["a number", "type recipe.optimizer.lr=0.1"]),
        ("target.value=half", ["a number, or null", "type target.value="]),
        ("tracking.wandb=maybe", ["true or false", "type tracking.wandb=true"]),
        ("recipe.optimizer=5", ["has keys of its own", "recipe.optimizer.name=VALUE"]),
        ("model.arguments=5", ["type +model.arguments.NAME=VALUE"]),
        ("model.arguments.a=5", ["+model.arguments.NAME=VALUE"]),
        ("recipe.epochs=range(1,3)", ["add -m"]),
        ("++data=cifar10", ["'++data=cifar10'", "leave out the plus signs"]),
        ("run_dir=${nowhere}", ["run_dir refers to ${nowhere}", "not a key"]),
        # the file of a group
        ("experiment=resnet19", ["unknown experiment 'resnet19'", "did you mean resnet18?"]),
        ("data=cifar", ["unknown data 'cifar'", "known: cifar10, cifar100"]),
        ("form=tiny", ["unknown form 'tiny'", "known: imagenet, small"]),
        ("target=0.6", ["target=0.6 is not allowed", "the name of a file", "target.value=0.6"]),
        ("suite=3", ["suite=3 is not allowed", "type suite=NAME"]),
        # misspelt keys
        ("recipe.epoch=3", ["unknown key 'recipe.epoch'", "did you mean recipe.epochs?"]),
        ("epochs=3", ["unknown key 'epochs'", "did you mean recipe.epochs?"]),
        ("optimizer=sgd", ["unknown key 'optimizer'", "did you mean recipe.optimizer?"]),
        # wrong types
        ("seed=1.5", ["seed=1.5 is not allowed", "a whole number", "type seed=1"]),
        ("seed=", ["seed= is not allowed", "a whole number", "type seed=1"]),
        ("recipe.epochs=ten", ["a number", "type recipe.epochs=10"]),
        ("target.value=60", ["at most 1", "for 60 % type target.value=0.6"]),
        # no equals sign, or too many
        ("seed 1", ["'seed 1' is not KEY=VALUE", "type seed=1"]),
        ("seed:1", ["'seed:1' is not KEY=VALUE", "type seed=1"]),
        ("experiment", ["'experiment' is not KEY=VALUE", "type experiment=NAME"]),
        ("seed==1", ["'seed==1' cannot be read", "type seed=1"]),
        # options
        ("--seed=1", ["unknown option '--seed=1'", "type seed=1"]),
        ("-n", ["unknown option '-n'", "known: -m", "type KEY=VALUE"]),
        ("--config-name=x", ["unknown option", "--config-dir DIR"]),
        ("--config-dir=/nowhere", ["'/nowhere' not found", "--config-dir=DIR names a folder"]),
        ("--cfg=jobs", ["--cfg jobs is not allowed", "type --cfg job"]),
        ("--cfg", ["--cfg is not allowed", "type --cfg job"]),
        # sweeps
        ("seed=0,1", ["seed=0,1 has several values", "add -m"]),
        ("seed=range(0,3", ["'seed=range(0,3' cannot be read", "type seed=1"]),
    ],
)
def test_errors_do_not_use_hydras_terms(argument, words):
    line = error_message(*RUN, argument)
    for word in words:
        assert word in line
    hydras = ("Exception", "mismatched", "expecting", "Union", "ListConfig", "Structured")
    for word in (*hydras, "Ambiguous", "Could not", "struct", "config group", "usage:"):
        assert word not in line


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("seed=0,,1", ["'seed=0,,1' cannot be read", "type seed=1", "single commas"]),
        ("seed=0..3", ["seed=0..3 is not allowed", "type seed=1"]),
        ("experiment=resnet18,resnet19", ["unknown experiment 'resnet19'"]),
        ("suite=cards", ["unknown suite 'cards'", "did you mean card?"]),
        ("--cfg=job", ["leave -m out"]),
        ("--info", ["leave -m out"]),
    ],
)
def test_errors_of_a_sweep_say_what_to_type(argument, words):
    line = error_message("-m", *RUN, argument)
    for word in words:
        assert word in line


def test_without_a_network_the_message_says_how_to_name_one():
    for given in ((), ("model=resnet18",), ("recipe=small_plain",), ("data=digits",)):
        assert "experiment=NAME" in error_message(*given)
    assert "add -m" in error_message("suite=card", "data=digits")


def test_the_options_are_those_of_hydra_that_are_of_use_here():
    """Hydra's own parser would print its usage and exit."""
    known = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    assert {*OPTIONS, *VALUED_OPTIONS} <= known
    assert invalid_option(("-m", "--cfg", "job", "--config-dir", "own", "--info", "seed=1")) is None


@pytest.mark.parametrize("given", [(), ("model.name=timm:mobilenetv4_conv_small",)])
def test_a_timm_network_lists_its_missing_keys_and_needs_no_others(given):
    line = error_message(*TIMM, *given)
    assert ("model.name and " in line) == (not given)
    assert "model.published (the date of first publication)" in line
    typed = shlex.split(line.split("type for example ")[1])
    (job,) = hydra_app.compose([*TIMM, *given, *typed])
    assert job.config.model.name == "timm:mobilenetv4_conv_small"


CHARACTERS = [chr(code) for code in range(32, 127)]


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_project_is_allowed_where_wandb_allows_it(character):
    name = f"a{character}b"
    try:
        wandb.Settings(project=name)
    except UsageError:
        with pytest.raises(UserError, match="W&B project"):
            check_wandb_names(name, None)
    else:
        check_wandb_names(name, None)


def test_a_project_is_as_long_as_wandb_lets_it_be():
    wandb.Settings(project="p" * 128)
    check_wandb_names("p" * 128, "g" * 128)
    with pytest.raises(UsageError):
        wandb.Settings(project="p" * 129)
    with pytest.raises(UserError, match=r"tracking\.project=NAME"):
        check_wandb_names("p" * 129, None)
    with pytest.raises(UserError, match=r"tracking\.group=NAME"):
        check_wandb_names("p", "g" * 129)


def test_wandb_names_are_checked_before_training_and_only_if_wandb_is_on(tmp_path):
    run = ("train", "experiment=resnet18", "data=digits", "tracking.project=a/b")
    refused(command(*run, cwd=tmp_path), "W&B project 'a/b'", "tracking.project=NAME")
    assert not list(tmp_path.iterdir())
    check(composed("experiment=resnet18", "tracking.project=a/b", "tracking.wandb=false"))


def test_a_stored_configuration_gives_the_same_messages():
    plain = dataclasses.asdict(whole())
    assert config.from_plain(plain) == whole()
    with pytest.raises(UserError, match=r"unknown key 'recipe\.lr'; known: .*batch_size"):
        config.from_plain({**plain, "recipe": {**plain["recipe"], "lr": 1}})
    with pytest.raises(UserError, match="seed must be a whole number"):
        config.from_plain({**plain, "seed": "x"})


def test_the_folder_example_of_the_page_composes():
    assert Path(composed(*RUN, "run_dir='in/${seed}'").run_dir) == Path("in/0")
