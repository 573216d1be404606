"""The registry: names, arguments, configs and error messages."""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torchvision.ops import StochasticDepth

from efficiency_bench.errors import UserError
from efficiency_bench.models import MODELS, build_model, known_arguments
from tests.experiments import EXPERIMENTS
from tests.models.golden import GOLDEN

CONFIGS = files("efficiency_bench.configs") / "model"


def config_text(name: str) -> str:
    return (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")


def config(name: str) -> dict[str, Any]:
    container = OmegaConf.to_container(OmegaConf.create(config_text(name)))
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def test_registry_has_exactly_the_expected_names() -> None:
    assert list(MODELS) == EXPERIMENTS


def test_every_model_has_a_config_and_every_config_a_model() -> None:
    names = {
        entry.name.removesuffix(".yaml")
        for entry in CONFIGS.iterdir()
        if entry.name.endswith(".yaml")
    }
    assert names - {"timm"} == set(MODELS), (
        "every model needs configs/model/NAME.yaml, and every such file a model"
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_config(name: str) -> None:
    loaded = config(name)
    assert loaded["name"] == name
    assert date.fromisoformat(loaded["published"]).isoformat() == loaded["published"]
    assert re.search(r"arXiv:\d{4}\.\d{4,5}", loaded["paper"])
    assert loaded["arguments"] == {}
    weight = 0.3 if name == "googlenet" else 0.0  # Szegedy et al. 2014, section 5
    assert loaded.get("auxiliary_loss_weight", 0.0) == weight


@pytest.mark.parametrize(("name", "form"), list(GOLDEN))
def test_config_comment_prints_the_golden_values(name: str, form: str) -> None:
    heading = "ImageNet form" if form == "imagenet" else "Small form"
    pattern = rf"# {heading} \(.*\):\n#   ([\d_]+) parameters, ([\d_]+) forward MACs per image\n"
    found = re.search(pattern, config_text(name))
    golden = GOLDEN[name, form]
    assert found is not None
    assert [int(group) for group in found.groups()] == [golden.params, golden.forward_macs], (
        f"write in configs/model/{name}.yaml, {heading}: "
        f"{golden.params:_} parameters, {golden.forward_macs:_} forward MACs per image"
    )


def test_unknown_model_suggests_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"unknown model 'resnet19'.*resnet18.*known: alexnet"):
        build_model("resnet19", form="small", num_classes=10)


def test_unknown_form() -> None:
    with pytest.raises(UserError, match=r"unknown form 'tiny'.*known: imagenet, small"):
        build_model("resnet18", form="tiny", num_classes=10)  # type: ignore[arg-type]


def test_unknown_argument_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="'dropuot'; known: dropout, stochastic_depth, batch"):
        build_model("efficientnet_b0", form="small", num_classes=10, dropuot=0.1)
    with pytest.raises(UserError, match="resnet18 takes no argument 'dropout'; known: none"):
        build_model("resnet18", form="imagenet", num_classes=10, dropout=0.1)


@pytest.mark.parametrize("value", [-0.1, 1.0, 50, float("nan"), True, "0.5", None])
def test_argument_out_of_range(value: Any) -> None:
    with pytest.raises(UserError, match=r"dropout must be a fraction in \[0, 1\)"):
        build_model("alexnet", form="small", num_classes=10, dropout=value)


def test_no_classes() -> None:
    with pytest.raises(UserError, match="num_classes must be at least 1, not 0"):
        build_model("alexnet", form="small", num_classes=0)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_both_forms_take_the_same_arguments(name: str) -> None:
    assert known_arguments(name, "imagenet") == known_arguments(name, "small")


def probabilities(model: nn.Module, kind: type[nn.Module]) -> set[float]:
    return {float(m.p) for m in model.modules() if isinstance(m, kind)}


@pytest.mark.parametrize("form", ["imagenet", "small"])
@pytest.mark.parametrize(
    "name", [n for n in EXPERIMENTS if "dropout" in known_arguments(n, "small")]
)
def test_dropout_reaches_the_network(name: str, form: Any) -> None:
    with torch.device("meta"):
        model = build_model(name, form=form, num_classes=10, dropout=0.125)
    if name == "densenet121":  # torchvision drops inside its layers, without a module
        assert {m.drop_rate for m in model.modules() if hasattr(m, "drop_rate")} == {0.125}
    else:
        heads = {0.7} if name == "googlenet" else set()  # the paper's, section 5
        assert probabilities(model, nn.Dropout) == {0.125} | heads


@pytest.mark.parametrize("form", ["imagenet", "small"])
def test_efficientnet_arguments_reach_the_network(form: Any) -> None:
    with torch.device("meta"):
        model = build_model(
            "efficientnet_b0",
            form=form,
            num_classes=10,
            stochastic_depth=0.32,
            batch_norm_momentum=0.25,
        )
    # rises linearly over the 16 blocks of table 1: block i drops with 0.32 * i / 16
    expected = [0.02 * i for i in range(16)]
    found = [m.p for m in model.modules() if isinstance(m, StochasticDepth)]
    assert found == pytest.approx(expected)
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.25}


def test_googlenet_auxiliary_dropout_reaches_the_heads() -> None:
    for form in ("imagenet", "small"):
        with torch.device("meta"):
            model = build_model("googlenet", form=form, num_classes=10, auxiliary_dropout=0.25)
        assert probabilities(model, nn.Dropout) == {0.4, 0.25}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_same_seed_same_weights(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = build_model(name, form="small", num_classes=10)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))
