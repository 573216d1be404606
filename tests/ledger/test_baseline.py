"""The baseline's level, and when it is rejected.  The bounds are computed by hand."""

import logging
import math

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.baseline import (
    baseline_target,
    chance_level,
    is_baseline,
    uses_current_baseline,
)
from tests.ledger.factory import (
    DIGEST,
    make_baseline,
    make_entry,
    make_evaluation,
    make_rung,
    make_target,
)

COMMAND = "efficiency-bench train experiment=alexnet data=digits"


def level(entries, **overrides):
    settings = {
        "model": "alexnet",
        "recipe": "small_alexnet",
        "data_digest": DIGEST,
        "metric": "top1",
        "classes": 10,
        "val_images": 400,
        "confirmations": 2,
        "command": COMMAND,
    }
    return baseline_target(entries, **{**settings, **overrides})


def test_the_level_is_the_mean_over_seeds_of_the_final_accuracy():
    first = make_baseline("alexnet-s0", evaluations=[make_evaluation(1, 0.99)] * 2)
    first = first.model_copy(
        update={"evaluations": (make_evaluation(10, 0.99), make_evaluation(20, 0.90))}
    )
    target = level([make_baseline("alexnet-s1", 0.91), first, make_entry("resnet18-s0")])
    assert target.value == pytest.approx(0.905, abs=1e-15)
    assert (target.tolerance, target.confirmations, target.source) == (0.0, 2, "baseline")
    assert target.baseline_run_ids == ("alexnet-s0", "alexnet-s1")


def test_the_level_does_not_depend_on_the_order_of_files():
    seeds = [make_baseline(f"s{i}", a) for i, a in enumerate((0.9, 0.9025, 0.9075))]
    assert level(seeds) == level(seeds[::-1])


def of_scale(entry, scale):
    return entry.model_copy(update={"config": {"model": {"name": "alexnet", "scale": scale}}})


def test_a_baseline_of_another_size_sets_no_level():
    whole, half = make_baseline("s0", 0.9), of_scale(make_baseline("s1", 0.8), 0.5)
    assert level([whole, half]).value == 0.9
    assert level([whole, half], size=(0.5, None)).value == 0.8
    with pytest.raises(UserError, match="no finished alexnet run"):
        level([whole, half], size=(1.0, 0.5))
    entry = make_entry(
        target=level([half], size=(0.5, None)),
        config={
            "target": {"baseline_model": "alexnet", "baseline_recipe": "small_alexnet"},
            "model": {"scale": 0.5},
        },
    )
    assert uses_current_baseline(entry, [whole, half])


def test_a_remeasured_baseline_makes_a_different_run():
    before = [make_baseline(f"s{i}", a) for i, a in enumerate((0.9, 0.9025))]
    asked = {"target": {"baseline_model": "alexnet", "baseline_recipe": "small_alexnet"}}
    entry = make_entry(target=level(before), config=asked)
    spoiled = make_baseline("s2", end_reason="diverged")
    assert uses_current_baseline(entry, [entry, spoiled, *before[::-1]])
    assert not uses_current_baseline(entry, [*before, make_baseline("s2", 0.9075)])
    assert not uses_current_baseline(entry, before[:1])
    assert uses_current_baseline(make_entry(), [])


@pytest.mark.parametrize(
    "other",
    [
        {"model": "vgg11"},
        {"recipe": "small_plain"},
        {"data_digest": "e" * 64},
        {"tier": "imported"},
        {"target": make_target(source="setting")},
        {"target": make_target(source="own_schedule", metric="top5")},
    ],
)
def test_unrelated_runs_do_not_set_the_level(other):
    stranger = make_baseline("stranger", **other)
    assert level([make_baseline("own", 0.9), stranger]).baseline_run_ids == ("own",)
    with pytest.raises(UserError, match="no finished alexnet run") as error:
        level([stranger])
    assert COMMAND in str(error.value)


def test_runs_of_two_rows_are_rejected_as_a_baseline():
    """With fifteen and five epochs, the mean would be the level of neither."""
    whole, short = ({"recipe": {"epochs": epochs}, "threads": 1} for epochs in (15.0, 5.0))
    seeds = [make_baseline(f"s{i}", 0.9, seed=i, config=whole) for i in range(2)]
    elsewhere = make_baseline("s2", 0.9, seed=2, config={**whole, "threads": 8, "device": "cuda"})
    assert level([*seeds, elsewhere]).baseline_run_ids == ("s0", "s1", "s2")
    with pytest.raises(UserError, match=r"2 configurations: s0, s1; s3\n.*target\.value=") as error:
        level([*seeds, make_baseline("s3", 0.9, seed=3, config=short)])
    assert "ledger_dir=DIR" in str(error.value)


def test_a_diverged_seed_is_reported_and_left_out(caplog):
    diverged = make_baseline("s1", 0.1, end_reason="diverged")
    with caplog.at_level(logging.WARNING):
        assert level([make_baseline("s0", 0.9), diverged]).value == 0.9
    assert "s1 ended as diverged" in caplog.text
    with pytest.raises(UserError, match="1 ended before its schedule did"):
        level([diverged])


# chance 0.1 of 400 images: standard error sqrt(0.1 * 0.9 / 400) = 0.015, ten of them 0.15
@pytest.mark.parametrize(("accuracy", "learned"), [(0.08, False), (0.25, False), (0.2525, True)])
def test_a_baseline_must_be_ten_standard_errors_above_chance(accuracy, learned):
    if learned:
        assert level([make_baseline("s0", accuracy)]).value == accuracy
    else:
        with pytest.raises(UserError, match=r"has not learned.*25\.00%"):
            level([make_baseline("s0", accuracy)])


def test_chance_of_top5_is_five_times_higher():
    assert chance_level("top1", 1000) == 0.001
    assert chance_level("top5", 1000) == 0.005
    assert chance_level("top5", 4) == 1.0
    at = 0.005 + 10 * math.sqrt(0.005 * 0.995 / 50_000)

    def imagenet(top5):
        entry = make_baseline("s0", target=make_target(source="own_schedule", metric="top5"))
        evaluation = make_evaluation(9, 0.0, top5=top5, val_images=50_000)
        return entry.model_copy(update={"evaluations": (evaluation,)})

    settings = {"metric": "top5", "classes": 1000, "val_images": 50_000}
    assert level([imagenet(at + 1e-4)], **settings).metric == "top5"
    with pytest.raises(UserError, match="has not learned"):
        level([imagenet(at - 1e-4)], **settings)


# level 0.9 of 400 images: standard error sqrt(0.9 * 0.1 / 400) = 0.015, three of them 0.045
@pytest.mark.parametrize(("half_gap", "agree"), [(0.0, True), (0.0220, True), (0.0230, False)])
def test_seeds_may_differ_by_three_standard_errors(half_gap, agree):
    seeds = [make_baseline("s0", 0.9 - half_gap), make_baseline("s1", 0.9 + half_gap)]
    if agree:
        assert level(seeds).value == pytest.approx(0.9)
    else:
        with pytest.raises(UserError, match=r"seeds disagree.*4\.50%.*s0 87\.70%.*s1 92\.30%"):
            level(seeds)


def test_one_stuck_seed_of_three_is_refused():
    """As once seen on digits: two seeds at 98 %, one stuck at 86 %."""
    with pytest.raises(UserError, match="seeds disagree"):
        level([make_baseline(f"s{i}", a) for i, a in enumerate((0.98, 0.98, 0.86))])


def test_a_perfect_baseline_is_a_target():
    assert level([make_baseline("s0", 1.0), make_baseline("s1", 1.0)]).value == 1.0


def whole_rung(run_id, accuracy, **overrides):
    """A seed of the ladder's baseline: AlexNet with the 2020 recipe and a budget of 1."""
    config = {
        "model": {"name": "alexnet"},
        "data": {"name": "digits"},
        "target": {"metric": None, "baseline_model": "alexnet", "baseline_recipe": "small_alexnet"},
        "budget": 1.0,
        **overrides.pop("config", {}),
    }
    budget = overrides.pop("budget", 1.0)
    fields = {"model": "alexnet", "config": config, "end_reason": "schedule", **overrides}
    return make_rung(run_id, budget, accuracy, **fields)


def test_the_whole_rung_of_the_ladder_is_a_baseline_where_no_run_set_its_own_target():
    rungs = [whole_rung(f"r{seed}", 0.8 + 0.01 * seed, seed=seed) for seed in range(3)]
    found = level(rungs)
    assert (found.value, found.baseline_run_ids) == (pytest.approx(0.81), ("r0", "r1", "r2"))
    assert all(map(is_baseline, rungs))
    assert level([*rungs, make_baseline("own", 0.9)]).baseline_run_ids == ("own",)
    judged = make_entry(
        "x",
        config=rungs[0].config,
        target=make_target(value=0.81, source="baseline", baseline_run_ids=("r0", "r1", "r2")),
    )
    assert uses_current_baseline(judged, rungs)
    assert not uses_current_baseline(judged, rungs[:2])


@pytest.mark.parametrize(
    "other",
    [
        {"budget": 0.5},
        {"model": "vgg11"},
        {"recipe": "small_alexnet"},
        {"config": {"model": {"name": "alexnet", "scale": 2.0}}},
        {"config": {"data": {"name": "digits", "inner_split": 0.2}}},
    ],
)
def test_other_rungs_are_rows_like_any_other(other):
    rung = whole_rung("r0", 0.8, **other)
    assert not is_baseline(rung)
    with pytest.raises(UserError, match="no finished alexnet run"):
        level([rung])
