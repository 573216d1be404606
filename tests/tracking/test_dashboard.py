"""The workspace as the real library builds it; saving needs a key and is not tested."""

import json
import sys

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.tracking import dashboard
from efficiency_bench.tracking.wandb_process import AXES, COLUMNS

# wandb-workspaces is written for an older pydantic
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic V1 style")


def panels_of(plain):
    sections = plain["spec"]["section"]["panel_bank_config"]["sections"]
    return {section["name"]: section["panels"] for section in sections}


def test_accuracy_is_plotted_against_every_axis():
    plain = dashboard.as_json(dashboard.workspace("someone", "project"))
    panels = panels_of(plain)
    configs = [panel["config"] for panel in panels["Accuracy"]]
    assert [config["x_axis"] for config in configs] == list(AXES)
    assert {tuple(config["metrics"]) for config in configs} == {("top1",)}
    assert [bool(config["x_log_scale"]) for config in configs] == [True, False, False, False]
    shown = [m for panel in panels["To the target"] for m in panel["config"]["metrics"]]
    assert shown == [
        "summary_metrics.paper3x_to_target_tfs_days",
        "summary_metrics.sustained_crossing_epochs",
    ]
    assert (plain["entity"], plain["project"]) == ("someone", "project")


def test_the_run_table_has_its_columns_in_a_fixed_order():
    plain = dashboard.as_json(dashboard.workspace("someone", "project"))
    (feed,) = (s["run_feed"] for s in plain["spec"]["section"]["run_sets"])
    shown = ["run:displayName", *(f"summary:{name}" for name in COLUMNS)]
    assert feed["column_order"] == shown
    assert [name for name, pinned in feed["column_pinned"].items() if pinned] == shown
    wanted = {"target_value", "reached", "paper3x_to_target_tfs_days"}
    assert wanted < set(COLUMNS)


def test_the_workspace_is_deterministic():
    one, other = (
        json.dumps(dashboard.as_json(dashboard.workspace("someone", "project"))) for _ in range(2)
    )
    assert one == other
    ids = json.loads(dashboard.workspace("someone", "project")._to_model().model_dump_json())
    assert json.dumps(ids) != one, "the library itself draws ids"


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(UserError, match="pip install wandb-workspaces"):
        dashboard.workspace("someone", "project")


def test_an_error_on_saving_is_reported_with_its_reason():
    class Refusing:
        def save(self):
            raise RuntimeError("no such entity\nand more")

    with pytest.raises(UserError, match="no such entity") as refusal:
        dashboard.save(Refusing())
    assert len(str(refusal.value).splitlines()) == 2
