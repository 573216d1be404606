"""Entries of budgeted runs without a target: what they must hold, and that every reader takes them.

Also that entries of older schemas are still read.
"""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from efficiency_bench import crossing
from efficiency_bench.fitting.groups import Selection, select
from efficiency_bench.fitting.sensitivity.curves import runs_with_curves
from efficiency_bench.ledger import store
from efficiency_bench.ledger.baseline import uses_current_baseline
from efficiency_bench.ledger.entry import target_fields
from efficiency_bench.ledger.export import openai, row
from efficiency_bench.records import TERAFLOPS_DAY, Entry, baseline_tfs_days
from efficiency_bench.report.charts.curve_chart import thinned
from efficiency_bench.report.page.runs import runs
from efficiency_bench.report.tables.crossings import crossing_rows
from efficiency_bench.report.tables.fit_and_ledger import ledger_cells
from efficiency_bench.run.terminal import ending_line
from efficiency_bench.stop_rule import metric_of_entry
from efficiency_bench.verify.schema import unknown_keys
from tests.ledger.factory import (
    make_entry,
    make_evaluation,
    make_rung,
    make_segment,
    make_target,
)

RUNG = make_rung("rung", 0.25, 0.8)


def test_target_and_reached_are_null_together_and_only_for_a_budgeted_run():
    with pytest.raises(ValidationError, match="only a budgeted run may have none"):
        make_rung("a", 0.25, estimand="anytime")
    with pytest.raises(ValidationError, match="null exactly if there is no target"):
        make_rung("a", 0.25, reached=False)
    with pytest.raises(ValidationError, match="null exactly if there is no target"):
        make_entry("a", estimand="budgeted", reached=None)
    judged = make_rung("a", 0.25, target=make_target(), reached=False)
    assert judged.known_target.value == 0.9
    with pytest.raises(ValueError, match="rung has no target"):
        _ = RUNG.known_target


def test_arrival_without_a_target_is_unknown():
    found = target_fields(
        None,
        [make_evaluation(1000, 0.99)],
        [make_segment(1000)],
        faultless=True,
        schedule_over=True,
        train_images=1000,
        estimand="budgeted",
    )
    assert set(found.values()) == {None}
    assert set(found) <= set(Entry.model_fields)


def test_the_baselines_compute_is_its_epochs_times_images_times_three_forward_passes():
    # 18 MMAC, 15 epochs of 10,000 images: 8.1e12 operations
    assert baseline_tfs_days(18_000_000, 15, 10_000) * TERAFLOPS_DAY == pytest.approx(8.1e12)


@pytest.mark.parametrize(
    ("classes", "asked", "metric"),
    [(10, None, "top1"), (100, None, "top5"), (100, "top1", "top1"), (10, "top5", "top5")],
)
def test_the_metric_without_a_target_is_the_configured_one_or_the_default(classes, asked, metric):
    rung = make_rung("a", 0.25, classes=classes, config={"target": {"metric": asked}})
    assert metric_of_entry(rung) == metric


def test_the_list_shows_its_budget_and_no_target():
    listed = row(RUNG)
    assert (listed["target"], listed["reached"]) == (None, None)
    assert (listed["budget_asked"], listed["budget"]) == (0.25, 0.25)
    assert listed["recipe_lr"] is None, "this entry records no recipe"
    assert ledger_cells(RUNG)[1:3] == ("ended", "-")
    full = make_rung(
        "a",
        0.25,
        config={
            "model": {"scale": 2.0},
            "recipe": {"optimizer": {"lr": 0.04}},
            "data": {"inner_split": 0.2},
        },
    )
    assert [row(full)[name] for name in ("scale", "inner_split", "recipe_lr")] == [2.0, 0.2, 0.04]


def test_the_leaderboard_leaves_it_out():
    left_out = openai([RUNG]).left_out
    assert left_out == ("rung: a budgeted trial, charged its whole schedule",)


def test_a_fit_of_runs_that_stop_at_a_target_leaves_it_aside():
    _, members, beside = select([make_entry("a"), RUNG], Selection(estimand="anytime"))
    assert ([e.run_id for e in members], beside) == (["a"], [])


def test_every_other_reader_takes_it():
    assert uses_current_baseline(RUNG, [])
    assert crossing(RUNG) is None
    assert list(crossing_rows([RUNG])) == []
    assert runs_with_curves([RUNG]) == {}
    assert thinned(RUNG) == [(1.25, 80.0)]
    opened = runs([RUNG], "nowhere", 1, ()).opened["rung"]
    assert (opened["level"], opened["metric"]) == (None, "top1")
    assert "ended at top1 80.00 % in 1.25 epochs" in ending_line(RUNG)
    stuck = make_rung("stuck", 0.25, 0.14)
    assert "ended at top1 14.00 %, no better than guessing, in" in ending_line(stuck)


def test_the_new_fields_are_in_the_digest_and_an_older_entry_keeps_its_own(tmp_path):
    new = store.with_entry_digest(RUNG)
    store.append(tmp_path, new)
    (read,) = store.read(tmp_path).entries
    assert read == new
    assert store.content_digest(new.model_copy(update={"budget": 0.26})) != new.entry_digest
    path = Path(__file__).parent / "entry_before_costs.json"
    old = Entry.model_validate_json(path.read_text())
    assert old.schema_version == 2
    assert store.content_digest(old) == json.loads(path.read_text())["entry_digest"]


def test_an_older_entry_may_not_have_the_new_fields():
    written = RUNG.model_dump(exclude_unset=True)
    assert set(unknown_keys(written, 3, False)) == {"budget_asked", "budget", "classes"}
    assert list(unknown_keys(written, 4, False)) == []
