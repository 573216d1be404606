"""Runs with a budget, trained on digits: what they cost, their entries, what is refused."""

import json
from types import SimpleNamespace

import pytest
import torch

from efficiency_bench.cli.train import train
from efficiency_bench.config_checks import check
from efficiency_bench.errors import UserError
from efficiency_bench.hydra_app import compose
from efficiency_bench.ledger import store
from efficiency_bench.records import TERAFLOPS_DAY, RateSearch
from efficiency_bench.reproducibility.data_and_counts import counts_again, verify_ledger
from efficiency_bench.run import run as run_module
from efficiency_bench.run.budgeted import (
    RungNotNeeded,
    TooFewSteps,
    baseline_forward_macs,
    check_needed,
)
from efficiency_bench.run.run import run
from efficiency_bench.sweep import manifest
from efficiency_bench.sweep.status import sweep_row
from efficiency_bench.verify import LedgerIndex, rules_budget, verify
from tests.run.test_run import hand_counted_alexnet_macs
from tests.tiny import TINY, composed, events_of, tiny

SEARCH = {
    "name": "found",
    "search_tfs_days": 1e-6,
    "trials": 5,
    "at_edge": False,
    "ledger_digest": "d" * 64,
}
RUNG = ("recipe=small_2020", "target.baseline_epochs=12", "recipe.batch_size=16")
GROWING = (
    "recipe.progressive.start_fraction=0.5",
    "recipe.progressive.stages=2",
    "recipe.progressive.until=0.5",
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """AlexNet and ResNet-18 with half the baseline's compute, the latter with growing images."""
    folder = tmp_path_factory.mktemp("budgets")
    for name, options in (("alexnet", ()), ("resnet18", GROWING)):
        here = f"run_dir={folder / name}"
        run(tiny(folder, f"model={name}", "budget=0.5", *RUNG, *options, here))
    return folder / "ledger"


def entry_of(ledger, model):
    (entry,) = [e for e in store.read(ledger).entries if e.model == model]
    return entry


def test_half_a_budget_of_the_baseline_is_half_its_schedule(ledger):
    entry = entry_of(ledger, "alexnet")
    steps = 12 * 19 / 2  # 300 images in batches of 16: 18 whole ones and one of 12
    assert (entry.steps, entry.epochs) == (steps, 6.0)
    assert (entry.budget_asked, entry.budget) == (0.5, 0.5)
    assert entry.config["recipe"]["epochs"] == 6.0
    assert (entry.estimand, entry.target, entry.reached) == ("budgeted", None, None)
    assert (entry.end_reason, entry.classes) == ("schedule", 10)


def test_other_networks_get_the_same_compute_at_each_image_side(ledger):
    entry = entry_of(ledger, "resnet18")
    assert [segment.resolution_px for segment in entry.segments] == [8, 16]
    macs = baseline_forward_macs("alexnet", "small", 10, 16)
    wanted = 0.5 * 3 * macs * 12 * 300
    step = 3 * 16 * max(segment.forward_macs for segment in entry.segments)
    assert abs(entry.paper3x_tfs_days * TERAFLOPS_DAY - wanted) <= step / 2
    assert entry.budget == pytest.approx(entry.paper3x_tfs_days * TERAFLOPS_DAY / wanted / 2)


def test_the_baselines_macs_are_counted_as_by_hand_and_move_no_random_number():
    baseline_forward_macs.cache_clear()
    torch.manual_seed(5)
    macs = baseline_forward_macs("alexnet", "small", 10, 16)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert drawn == torch.rand(1)
    assert macs == hand_counted_alexnet_macs()


def test_both_verify(ledger):
    assert [v.verdict for v in verify_ledger(str(ledger), None, None)] == ["verified"] * 2


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        ({"budget": 0.6}, "budget: share"),
        ({"budget_asked": 0.6}, "budget: asked"),
        ({"classes": 9}, "facts: classes"),
        ({"rates": RateSearch(**SEARCH)}, "facts: rates"),
    ],
)
def test_an_edited_budget_or_search_fails(ledger, edit, rule):
    edited = store.with_entry_digest(entry_of(ledger, "alexnet").model_copy(update=edit))
    found = verify(ledger, edited, LedgerIndex([edited]))
    assert rule in {failure.rule for failure in found.failures}


@pytest.mark.parametrize("model", ["alexnet", "resnet18"])
def test_a_schedule_that_is_one_step_off_its_budget_fails(ledger, model):
    """Also where images grow: one step is up to a percent of these schedules."""
    entry = entry_of(ledger, model)
    (start,) = [e for e in events_of(ledger.parent / model) if e["event"] == "start"]
    step = 3 * 16 * entry.segments[-1].forward_macs
    logged = start["budget"]
    whole = 3 * logged["baseline_forward_macs"] * logged["baseline_epochs"] * 300
    for off, holds in ((0.0, True), (0.2 * step / whole, True), (-1.1 * step / whole, False)):
        asked = entry.budget + off
        budget = {**logged, "asked": asked}
        config = {**entry.config, "budget": asked}
        changed = entry.model_copy(update={"budget_asked": asked, "config": config})
        evidence = SimpleNamespace(entry=changed, start={**start, "budget": budget})
        assert [f.rule for f in rules_budget.budget(evidence)] == [] if holds else ["budget: steps"]


def test_a_baseline_of_other_macs_fails(ledger):
    entry = entry_of(ledger, "alexnet")
    (start,) = [e for e in events_of(ledger.parent / "alexnet") if e["event"] == "start"]
    lower = {**start["budget"], "baseline_forward_macs": 1000}
    evidence = SimpleNamespace(entry=entry, start={**start, "budget": lower})
    assert [f.rule for f in counts_again(evidence)] == ["counts: baseline"]


def test_the_same_command_finds_the_finished_run(ledger):
    again = run(tiny(ledger.parent, "model=alexnet", "budget=0.5", *RUNG))
    assert again.already_finished
    here = f"run_dir={ledger.parent / 'alexnet'}"
    assert run(tiny(ledger.parent, "model=alexnet", "budget=0.5", *RUNG, here)).already_finished


def test_without_a_target_only_whole_epochs_and_the_end_are_evaluated(ledger):
    events = events_of(ledger.parent / "resnet18")
    (start,) = [e for e in events if e["event"] == "start"]
    steps = [e["steps"] for e in events if e["event"] == "evaluation"]
    assert steps == [*range(19, start["total_steps"], 19), start["total_steps"]]
    assert start["budget"]["asked"] == 0.5


def test_a_rung_of_few_steps_is_refused_and_the_least_budget_named(tmp_path):
    told = r"(?s)budget=0\.1 pays for 23 steps of alexnet.*budget=0\.22"
    with pytest.raises(TooFewSteps, match=told):
        run(tiny(tmp_path, "model=alexnet", "budget=0.1", *RUNG))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["budget=0"], "budget=0 must be over 0"),
        (["budget=-1"], "budget=-1 must be over 0"),
        (["budget=0.5", "recipe.epochs=3"], r"recipe\.epochs=3 cannot be used with budget=0\.5"),
        (["budget=0.5", "estimand=anytime"], "estimand=anytime cannot be used with budget"),
        (["budget=0.5", "data=imagenet"], r"type target\.baseline_epochs=N"),
        (["target.baseline_epochs=0"], r"target\.baseline_epochs=0 must be over 0"),
    ],
)
def test_conflicts_are_told_with_what_to_type(options, message):
    with pytest.raises(UserError, match=message):
        check(compose(["experiment=resnet18", *options])[0].config)


def test_a_budget_makes_the_run_budgeted():
    assert composed("experiment=resnet18", "budget=0.5").estimand == "budgeted"


def test_a_sweep_leaves_short_rungs_out_and_ends_well(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["model=alexnet", "budget=0.1,0.25", *RUNG, *TINY, "tracking.wandb=false"]
    entries, code = train(["-m", *options])
    assert ([entry.budget_asked for entry in entries], code) == ([0.25], 0)
    assert "run 1/2 left out: budget=0.1 pays for 23 steps" in capsys.readouterr().err
    states = sweep_row(None)["states"]
    assert (states["left out"], states["ended"], states["failed"]) == (1, 1, 0)
    assert len(list((tmp_path / "runs/ledger").glob("*.json"))) == 1
    assert json.loads((manifest.find(None).folder / "1.json").read_text())["left_out"]


def ended_at(entry, accuracy, budget):
    """The entry as if its budget had been ``budget`` and its final top-1 ``accuracy``."""
    last = entry.evaluations[-1].model_copy(update={"top1": accuracy})
    config = {**entry.config, "budget": budget}
    fields = {"budget_asked": budget, "evaluations": (last,), "config": config}
    return entry.model_copy(update=fields)


@pytest.mark.parametrize(
    ("final", "budget", "options", "needed"),
    [
        (0.84, 1, (), True),  # the level is 80 %, three points over it 83 %
        (0.82, 1, GROWING, True),
        (0.84, 1, GROWING, False),
        (0.84, 0.5, GROWING, True),  # the rung itself, and one below it
        (0.84, 0.25, GROWING, True),
        (0.84, 1, (*GROWING, "recipe.optimizer.lr=0.5"), True),  # another row
        (0.84, 1, (*GROWING, "rung_margin=null"), True),
        (0.84, 1, (*GROWING, "seed=1", "threads=1"), False),  # another seed of the row
    ],
)
def test_a_rung_above_one_that_passed_the_level_is_not_needed(
    ledger, tmp_path, final, budget, options, needed
):
    level = ended_at(entry_of(ledger, "alexnet"), 0.8, 1)
    untaught = ended_at(level, 0.3, 1)  # ten classes, 100 images: 0.1 and ten times 0.03 over it
    rung = ended_at(entry_of(ledger, "resnet18"), final, 0.5)
    given = (f"budget={budget}", *RUNG, "rung_margin=0.03", *options)
    config = tiny(tmp_path, "model=resnet18", *given)
    data = SimpleNamespace(digest=rung.data_digest, classes=range(10), val_images=100)
    if needed:
        check_needed(config, data, "top1", [level, rung])
    else:
        with pytest.raises(RungNotNeeded, match=r"budget 0\.5 ended at 84\.0%"):
            check_needed(config, data, "top1", [level, rung])
    check_needed(config, data, "top1", [rung])  # no level yet
    check_needed(config, data, "top1", [untaught, rung])
    other = SimpleNamespace(digest="f" * 64, classes=range(10), val_images=100)
    check_needed(config, other, "top1", [level, rung])


def test_a_ladder_leaves_out_the_rungs_above_the_level(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = ("-m", "model=resnet18", "budget=1,2", "target.baseline_model=resnet18")
    places = ("rung_margin=0", "ledger_dir=ledger", "tracking.wandb=false")
    entries, code = train([*sweep, *places, *RUNG, *TINY])
    assert code == 0
    assert [entry.budget_asked for entry in entries] == [1.0]
    kinds = [run["state"] for run in sweep_row(None)["runs"]]
    assert kinds == ["ended", "left out"]


def test_without_a_margin_the_ledger_is_not_read(tmp_path, monkeypatch):
    """A large ledger would be read once per run, for nothing."""
    read = []
    monkeypatch.setattr(run_module, "known_entries", lambda folder: read.append(folder) or ())
    for options, times in (((), 0), (("rung_margin=0.03",), 1)):
        config = tiny(tmp_path, "model=resnet18", "budget=0.01", *RUNG, *options)
        with pytest.raises(TooFewSteps):
            run(config)
        assert len(read) == times
