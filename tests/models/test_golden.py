"""Every registered model has the golden parameters and forward MACs, in both forms."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
import torch
import torchvision
from torch import nn

from efficiency_bench.models import MODELS, Form, build_model
from tests.models.closed_form import first_layer_macs, forward_macs, parameters, trace
from tests.models.golden import (
    AFTER_2020,
    GOLDEN,
    GOOGLENET_WITHOUT_HEADS,
    IMAGE_PX,
    NUM_CLASSES,
    Golden,
)

OWN_CODE = {"mobilenet_v1", "shufflenet_v1"}
FORMS: tuple[Form, ...] = ("imagenet", "small")


def network(name: str, form: Form) -> nn.Module:
    """The ImageNet form on the meta device, where 138 M parameters need no memory."""
    with torch.device("meta" if form == "imagenet" else "cpu"):
        return build_model(name, form=form, num_classes=NUM_CLASSES[form])


def counted(model: nn.Module, form: str, *, train: bool) -> Golden:
    layers = trace(model, IMAGE_PX[form], train=train)
    return Golden(parameters(model), forward_macs(layers), first_layer_macs(layers))


def test_every_model_has_golden_values_in_both_forms() -> None:
    wanted = {(name, form) for name in MODELS for form in FORMS}
    assert set(GOLDEN) == wanted, "add the missing rows to GOLDEN in tests/models/golden.py"


@pytest.mark.parametrize(("name", "form"), list(GOLDEN))
def test_golden(name: str, form: Form) -> None:
    found = counted(network(name, form), form, train=True)
    assert found == GOLDEN[name, form], (
        f"{name} in form {form} changed; if that was meant, set in tests/models/golden.py\n"
        f'    ("{name}", "{form}"): {found},\n'
        f"and the same numbers in the comment of configs/model/{name}.yaml"
    )


def test_meta_and_real_tensors_give_the_same_counts() -> None:
    real = build_model("shufflenet_v1", form="imagenet", num_classes=1000)
    assert counted(real, "imagenet", train=True) == GOLDEN["shufflenet_v1", "imagenet"]


def test_googlenet_evaluates_without_its_heads() -> None:
    model = network("googlenet", "imagenet")
    found = counted(model, "imagenet", train=False)
    heads = parameters(model.aux1) + parameters(model.aux2)
    assert found._replace(params=found.params - heads) == GOOGLENET_WITHOUT_HEADS


@pytest.mark.parametrize("name", [name for name in MODELS if name not in OWN_CODE])
def test_imagenet_form_has_torchvisions_published_figures(name: str) -> None:
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    golden = GOOGLENET_WITHOUT_HEADS if name == "googlenet" else GOLDEN[name, "imagenet"]
    assert golden.params == meta["num_params"]
    # published in GMACs with three decimals: allow for rounding
    assert golden.forward_macs / 1e9 == pytest.approx(meta["_ops"], abs=0.00051)


@pytest.mark.parametrize("name", sorted(AFTER_2020))
def test_imagenet_form_holds_torchvisions_weights(name: str) -> None:
    """Same names and shapes, buffers included, so the published weights could be loaded."""
    theirs = torchvision.models.get_model(name, weights=None)
    with torch.device("meta"):
        ours = build_model(name, form="imagenet", num_classes=1000)
    shapes = [{key: value.shape for key, value in m.state_dict().items()} for m in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_parameters_of_the_published_rows() -> None:
    table = files("efficiency_bench.reference") / "hernandez_brown_2020.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    published = sorted(
        int(row["params"]) for row in rows if row["metric"].startswith("AlexNet (79.1%")
    )
    ours = [
        GOOGLENET_WITHOUT_HEADS.params if name == "googlenet" else GOLDEN[name, "imagenet"].params
        for name in MODELS
        if name not in {"vgg16", *AFTER_2020}  # of the two VGGs the paper trained VGG-11 alone
    ]
    assert sorted(ours) == published
