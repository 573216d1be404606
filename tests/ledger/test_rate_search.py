"""Choosing each network's rate from trials, the file of rates, and taking a rate from it."""

import dataclasses
import math

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.rate_search import at_chance, chosen_rates, extensions, is_trial
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.tuned_rates import read_rates, search_of, with_rate, write_rates
from tests.ledger.factory import make_evaluation, make_rung
from tests.tiny import composed

RATES = (0.00125, 0.00395285, 0.0125, 0.0395285, 0.125)


def trial(model, rate, accuracy, **overrides):
    """A trial of suite=tuning, an eighth of the baseline's compute."""
    config = {
        "model": {"name": model},
        "recipe": {"batch_size": 32, "epochs": 1.9, "optimizer": {"name": "sgd", "lr": rate}},
        "data": {"name": "digits", "train_images": 300, "inner_split": 0.2},
        "target": {"metric": None, "baseline_epochs": 15.0},
        "budget": 0.125,
        "seed": 0,
    }
    for key, value in overrides.pop("config", {}).items():
        config[key] = value | config[key] if isinstance(value, dict) else value
    run_id = overrides.pop("run_id", f"{model}-{rate:g}")
    fields = {"model": model, "config": config, **overrides}
    return with_entry_digest(make_rung(run_id, 0.125, accuracy, **fields))


def search(model, *accuracies, rates=RATES):
    return [trial(model, rate, a) for rate, a in zip(rates, accuracies, strict=True)]


TRIALS = [*search("alexnet", 0.2, 0.3, 0.5, 0.4, 0.1), *search("vgg11", 0.2, 0.3, 0.4, 0.5, 0.6)]


def test_the_best_final_accuracy_chooses_and_the_search_is_charged_whole():
    rates = chosen_rates([*TRIALS, make_rung("ladder", 0.5)])
    alexnet = rates.rates["alexnet"]
    assert (alexnet.rate, alexnet.accuracy, alexnet.at_edge) == (0.0125, 0.5, False)
    assert (alexnet.tried, alexnet.trials) == (RATES, 5)
    spent = math.fsum(e.paper3x_tfs_days for e in TRIALS[:5])
    assert alexnet.search_tfs_days == pytest.approx(spent)
    assert (rates.recipe, rates.batch_size, rates.data) == ("small_2020", 32, "digits")
    assert (rates.budget, rates.inner_split, rates.metric) == (0.125, 0.2, "top1")
    assert chosen_rates(reversed(TRIALS)) == rates, "the order of files says nothing"
    other = chosen_rates([*TRIALS[:-1], trial("vgg11", 0.125, 0.61)])
    assert other.ledger_digest != rates.ledger_digest


def test_seeds_of_one_rate_count_with_their_mean():
    lucky = [trial("alexnet", 0.125, a, seed=i, run_id=f"s{i}") for i, a in enumerate((0.9, 0.1))]
    rates = chosen_rates([*search("alexnet", 0.1, 0.2, 0.6, 0.5, 0.0)[:4], *lucky])
    assert rates.rates["alexnet"].rate == 0.0125
    assert rates.rates["alexnet"].trials == 6


@pytest.mark.parametrize(
    ("accuracies", "rate"),
    [
        ((0.1, 0.1, 0.1, 0.1, 0.1), 0.0125),  # all at chance: the recipe's own
        ((0.1, 0.1, 0.1, 0.5, 0.5), 0.0395285),
        ((0.5, 0.1, 0.1, 0.1, 0.5), 0.00125),  # as far on either side: the lower
    ],
)
def test_a_tie_goes_to_the_middle_of_the_common_rates(accuracies, rate):
    extended = trial("vgg11", 0.000395285, 0.1)
    found = chosen_rates([*TRIALS[:5], *search("vgg11", *accuracies), extended])
    assert found.rates["vgg11"].rate == rate


def test_a_network_that_learned_nothing_at_any_rate_is_named():
    """Ten classes, 400 images: guessing gives 10 %, three standard errors more are 14.5 %."""
    stuck = search("vgg11", 0.1, 0.144, 0.1, 0.1, 0.1)
    trials = [*TRIALS[:5], *stuck]
    assert {e.evaluations[-1].val_images for e in trials} == {400}
    assert {e.classes for e in trials} == {10}
    assert at_chance(trials) == ["vgg11"]
    learned = [*TRIALS[:5], *search("vgg11", 0.1, 0.1, 0.146, 0.1, 0.1)]
    assert at_chance(learned) == []
    failed = [trial("vgg11", rate, 0, end_reason="diverged", evaluations=()) for rate in RATES]
    assert at_chance([*TRIALS[:5], *failed]) == ["vgg11"]


def test_a_trial_that_diverged_is_the_worst_of_all():
    diverged = trial("alexnet", 0.125, 0.9, end_reason="diverged", evaluations=())
    rates = chosen_rates([*TRIALS[:4], diverged])
    assert rates.rates["alexnet"].rate == 0.0125
    assert rates.rates["alexnet"].trials == 5


def test_the_search_is_extended_once_where_the_best_is_at_an_edge():
    (command,) = extensions(chosen_rates(TRIALS), TRIALS, "runs/tuning")
    assert command == (
        "efficiency-bench train model=vgg11 recipe=small_2020 recipe.batch_size=32"
        " recipe.optimizer.lr=0.395285 data=digits data.train_images=300 data.inner_split=0.2"
        " budget=0.125 target.baseline_epochs=15.0 seed=0 ledger_dir=runs/tuning"
    )
    low = search("alexnet", 0.6, 0.3, 0.5, 0.4, 0.1)
    (command,) = extensions(chosen_rates(low), low, "runs/tuning")
    assert "recipe.optimizer.lr=0.000395285 " in command
    extended = [*TRIALS, trial("vgg11", 0.395285, 0.7)]
    rates = chosen_rates(extended)
    assert (rates.rates["vgg11"].rate, rates.rates["vgg11"].at_edge) == (0.395285, True)
    assert extensions(rates, extended, "runs/tuning") == []


def test_trials_of_several_kinds_are_refused_with_what_differs():
    longer = trial("vgg11", 0.0125, 0.5, config={"budget": 0.25}, run_id="longer")
    with pytest.raises(UserError, match=r"2 different settings.*budget: 0\.125, 0\.25"):
        chosen_rates([*TRIALS, longer])
    other = trial("vgg11", 0.0125, 0.5, data_digest="e" * 64, run_id="other")
    with pytest.raises(UserError, match=r"2 different settings.*data_digest"):
        chosen_rates([*TRIALS, other])


def test_no_trials_and_failed_ones_are_told():
    with pytest.raises(UserError, match="train -m suite=tuning"):
        chosen_rates([make_rung("ladder", 0.5)])
    failed = trial("alexnet", 0.125, 0.5, end_reason="failed")
    with pytest.raises(UserError, match="1 trials failed"):
        chosen_rates([*TRIALS[:4], failed])
    assert not is_trial(make_rung("ladder", 0.5, evaluations=(make_evaluation(100, 0.5),)))


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "found.yaml"
    write_rates(chosen_rates(TRIALS), path)
    return path


def config_of(path, *options):
    config = composed("model=vgg11", "recipe=small_2020", "data=digits", *options)
    return dataclasses.replace(config, rates=str(path))


def test_the_file_reads_back_and_gives_a_run_its_rate_and_its_search(written):
    assert read_rates(str(written)) == chosen_rates(TRIALS)
    config = with_rate(config_of(written))
    assert config.recipe.optimizer.lr == 0.125
    search = search_of(config)
    assert (search.name, search.trials, search.at_edge) == ("found", 5, True)
    assert search.search_tfs_days == chosen_rates(TRIALS).rates["vgg11"].search_tfs_days
    plain = composed("model=vgg11", "recipe=small_2020")
    assert with_rate(plain) == plain
    assert search_of(plain) is None


def test_rates_are_not_for_other_networks_recipes_or_data(written):
    with pytest.raises(UserError, match=r"unknown network for rates=.* known: alexnet, vgg11"):
        with_rate(config_of(written, "model=resnet18"))
    for option in ("recipe=small_plain", "recipe.batch_size=64", "data=cifar10"):
        with pytest.raises(UserError, match="they were searched for recipe=small_2020 recipe"):
            with_rate(config_of(written, option))


def test_rates_are_also_for_the_data_sets_that_their_file_names(written):
    with written.open("a") as file:
        file.write("also_for: [cifar10]\n")
    assert with_rate(config_of(written, "data=cifar10")).recipe.optimizer.lr == 0.125
    assert with_rate(config_of(written)).recipe.optimizer.lr == 0.125
    with pytest.raises(UserError, match=r"data=digits or recipe=.* data=cifar10;"):
        with_rate(config_of(written, "data=cifar100"))


def test_a_file_that_changed_after_the_run_was_planned_is_told(written):
    config = with_rate(config_of(written))
    write_rates(chosen_rates(search("vgg11", 0.1, 0.2, 0.9, 0.3, 0.2)), written)
    with pytest.raises(UserError, match=r"has changed since .* 0\.0125 for vgg11, not 0\.125"):
        search_of(config)


def test_missing_and_broken_files_are_told(tmp_path):
    with pytest.raises(UserError, match="there are no rates 'nowhere'"):
        read_rates("nowhere")
    with pytest.raises(UserError, match=r"there are no rates '\.\./recipe/small_2020'"):
        read_rates("../recipe/small_2020")
    with pytest.raises(UserError, match="cannot read rates="):
        read_rates(str(tmp_path / "nowhere.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("rates: [1]")
    with pytest.raises(UserError, match="is not a file of rates"):
        read_rates(str(broken))
