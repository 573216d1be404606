"""A sweep in W&B at a glance: names, tags, columns and alerts, with the real wandb offline."""

from dataclasses import replace

import pytest

from efficiency_bench.config import measured_part
from efficiency_bench.tracking import sync
from efficiency_bench.tracking.wandb_mirror import WandbMirror
from efficiency_bench.tracking.wandb_process import COLUMNS, TITLE_LENGTH, run_name
from tests.ledger.recorded import BUDGETED, LEDGER, MISSED, REACHED
from tests.tracking import wandb_files
from tests.tracking.test_groups import sweep_of


@pytest.fixture(scope="module")
def recorded():
    """Runs of CIFAR-10 by run id."""
    runs, left_out = sync.of_ledger(LEDGER)
    assert left_out == []
    return {run.run_id: run for run in runs}


def names(*arguments):
    sweep = sweep_of(*arguments)
    for number in sweep.numbers:
        config = sweep.config(number)
        measured = measured_part(config)
        known = {"model": config.model.name, "recipe": config.recipe.name, "config": measured}
        own = {name: getattr(config, name) for name in ("experiment", "seed", "repeat")}
        yield run_name(known | own)


def test_the_runs_of_a_sweep_have_different_names():
    ladder = list(names("suite=ladder", "model=alexnet,resnet18", "budget=0.25,1", "seed=0,1"))
    assert len(set(ladder)) == 8
    assert "resnet18-small_2020 budget 0.25 seed 1" in ladder
    search = list(names("suite=tuning", "model=alexnet", "recipe.optimizer.lr=0.00125,0.0125"))
    assert len(set(search)) == 2
    assert search[0] == "alexnet-small_2020 budget 0.04 lr 0.00125 seed 0"
    scales = names("experiment=resnet18", "data=digits", "model.scale=0.5,1", "repeat=1")
    assert list(scales) == ["resnet18 scale 0.5 seed 0 repeat 1", "resnet18 seed 0 repeat 1"]


def mirrored(run, folder, session, *last, alerts=False):
    """What wandb wrote of a run whose events end with ``last``."""
    patient = wandb_files.LIMIT_SECONDS
    mirror = WandbMirror("project", "sweep", folder, session, "later", patient, alerts)
    for event in (*run.events, *last):
        mirror(event)
    mirror.close()
    assert mirror.failure is None
    (path,) = wandb_files.files(folder)
    return wandb_files.records(path)


def entry_event(run, **changes):
    return {"event": "entry", "entry": run.entry.model_copy(update=changes)}


def summary_of(read):
    found = {}
    for record in wandb_files.of_kind(read, "summary"):
        found |= record["update"]
    for history in wandb_files.of_kind(read, "history"):
        found |= history["item"]
    return found


def test_a_run_that_arrives_fills_every_column_and_tells_who_wants_it(recorded, session, tmp_path):
    run = recorded[REACHED]
    read = mirrored(run, tmp_path, session, entry_event(run), alerts=True)
    entry, summary = run.entry, summary_of(read)
    assert set(COLUMNS) - {"budget_asked"} <= set(summary)
    assert (summary["target_metric"], summary["target_value"]) == ("top1", entry.target.value)
    assert summary["reached"] is True
    assert summary["paper3x_to_target_tfs_days"] == entry.paper3x_to_target_tfs_days
    (alert,) = wandb_files.of_kind(read, "alert")
    assert alert["title"].startswith("arrived: resnet18")
    assert len(alert["title"]) <= TITLE_LENGTH
    assert alert["level"] == "INFO"
    assert f"{entry.paper3x_to_target_tfs_days:.3g} tfs-days" in alert["text"]


def test_a_run_that_diverges_tells_and_one_that_misses_its_target_does_not(
    recorded, session, tmp_path
):
    run = recorded[MISSED]
    fault = {"end_reason": "diverged", "end_detail": "the loss is not finite"}
    read = mirrored(run, tmp_path / "one", session, entry_event(run, **fault), alerts=True)
    (alert,) = wandb_files.of_kind(read, "alert")
    assert (alert["title"][:9], alert["level"]) == ("diverged:", "ERROR")
    assert alert["text"] == "the loss is not finite"
    read = mirrored(run, tmp_path / "other", session, entry_event(run), alerts=True)
    assert wandb_files.of_kind(read, "alert") == []


def test_a_preempted_run_tells_and_its_budget_is_a_tag(recorded, session, tmp_path):
    start, *others = recorded[BUDGETED].events
    start = {**start, "config": {**start["config"], "budget": 0.25}}
    run = replace(recorded[BUDGETED], events=(start, *others))
    read = mirrored(run, tmp_path, session, {"event": "interrupted"}, alerts=True)
    (alert,) = wandb_files.of_kind(read, "alert")
    assert (alert["title"][:10], alert["level"]) == ("preempted:", "WARN")
    assert "budget 0.25" in wandb_files.of_kind(read, "run")[0]["tags"]
    assert summary_of(read)["budget_asked"] == 0.25


def test_nobody_is_told_unless_asked(recorded, session, tmp_path):
    run = recorded[REACHED]
    read = mirrored(run, tmp_path, session, entry_event(run))
    assert wandb_files.of_kind(read, "alert") == []
