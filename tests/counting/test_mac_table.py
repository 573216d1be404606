"""The table of counts: right, of the present code, and read by nothing that trains."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from efficiency_bench.counting import by_name, mac_table
from efficiency_bench.counting.mac_table import FORMS, count_all, look_up
from efficiency_bench.models import MODELS, build_model, known_arguments
from efficiency_bench.plan import row as plan_row
from efficiency_bench.plan.plan import plan
from tests.models.closed_form import first_layer_macs, forward_macs, parameters, trace
from tests.models.golden import GOLDEN
from tests.test_layers import PACKAGE, imports
from tests.tiny import composed

WRITE = "type python -m efficiency_bench.counting.mac_table"


def test_the_table_has_every_network_in_the_present_code():
    wanted = {
        (name, form, sizes.classes, px)
        for name in MODELS
        for form, sizes in FORMS.items()
        for px in (sizes.side_px, *sizes.other_sides_px)
    }
    table = mac_table._table()
    assert set(table) == wanted, WRITE
    for key, row in table.items():
        assert row.network_digest == mac_table._installed(*key[:2])[0], f"{key} changed; {WRITE}"


@pytest.mark.parametrize(("name", "form"), list(GOLDEN))
def test_the_main_sides_agree_with_the_closed_forms(name, form):
    row = mac_table._table()[name, form, FORMS[form].classes, FORMS[form].side_px]
    assert (row.params, row.forward_macs, row.first_layer_macs) == GOLDEN[name, form]
    assert row.backward_macs == 2 * row.forward_macs - row.first_layer_macs


@pytest.mark.parametrize(
    ("name", "form"),
    [("alexnet", "small"), ("vgg11", "imagenet"), ("shufflenet_v1", "imagenet")],
)
def test_the_other_sides_agree_with_the_closed_forms(name, form):
    sizes = FORMS[form]
    for px in sizes.other_sides_px:
        with torch.device("meta"):
            model = build_model(name, form=form, num_classes=sizes.classes, image_px=px)
        layers = trace(model, px)
        row = mac_table._table()[name, form, sizes.classes, px]
        assert row.params == parameters(model)
        assert row.forward_macs == forward_macs(layers)
        assert row.first_layer_macs == first_layer_macs(layers)


@pytest.mark.slow
def test_both_counters_still_give_every_row():
    assert list(count_all()) == list(mac_table._table().values()), WRITE


@pytest.mark.parametrize("form", ["imagenet", "small"])
@pytest.mark.parametrize("name", [name for name in MODELS if known_arguments(name, "small")])
def test_a_networks_arguments_change_no_macs(name, form):
    arguments = dict.fromkeys(known_arguments(name, form), 0.25)
    with torch.device("meta"):
        model = build_model(name, form=form, num_classes=FORMS[form].classes, **arguments)
    assert forward_macs(trace(model, FORMS[form].side_px)) == GOLDEN[name, form].forward_macs


@pytest.mark.parametrize("changed", ["network_digest", "torchvision"])
def test_a_row_of_other_code_is_not_used_and_the_network_is_counted(changed, monkeypatch):
    key = ("shufflenet_v1", "small", 10, 32)
    true = GOLDEN["shufflenet_v1", "small"].forward_macs
    stale = mac_table._table()[key]._replace(**{changed: "0", "forward_macs": 1})
    monkeypatch.setitem(mac_table._table(), key, stale)
    assert look_up(*key) is None
    assert by_name.counted("shufflenet_v1", "small")["forward_macs"] == true


def test_a_plan_for_a_machine_of_the_table_counts_nothing(monkeypatch):
    def counted_model(*arguments):
        raise AssertionError("counted")

    monkeypatch.setattr(plan_row, "counted_model", counted_model)
    asked = ["-m", "experiment=alexnet,efficientnet_b0", "data=imagenet", "hardware=h100x8"]
    for row in plan(asked, 0.0, None, lambda line: None)["runs"]:
        macs = 3 * GOLDEN[row["model"], "imagenet"].forward_macs * 1_281_167
        expected = macs * row["epochs_to_target"] / (1e12 * 86_400)
        assert row["paper3x_tfs_days"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, model=replace(config.model, scale=2.0)),
        lambda config: replace(config, model=replace(config.model, width=0.5)),
        lambda config: replace(config, model=replace(config.model, name="timm:resnet18")),
        lambda config: replace(config, data=replace(config.data, image_px=20)),
    ],
)
def test_a_network_that_is_not_in_the_table_is_counted(change):
    config = composed("experiment=resnet18", "data=cifar10")
    side = config.data.image_px
    assert plan_row._tabulated(config, 10, [side])[side].forward_macs == 45_461_492
    changed = change(config)
    assert plan_row._tabulated(changed, 10, [changed.data.image_px]) is None
    assert plan_row._tabulated(config, 100, [side]) is None
    # a small form's head is built for one side
    assert plan_row._tabulated(config, 10, [16, side]) is None


def test_nothing_that_trains_reads_the_table():
    readers = {
        str(path.relative_to(PACKAGE))
        for path in Path(PACKAGE).glob("**/*.py")
        if any("mac_table" in name for name in imports(path))
    }
    assert readers == {"counting/by_name.py", "plan/row.py", "plan/duration.py"}
