"""Networks of other libraries by name, without code and without downloads."""

import sys

import pytest
import torch

from efficiency_bench.errors import UserError
from efficiency_bench.models import build_model, check_input, known_arguments


def test_a_prefixed_name_builds_that_librarys_network():
    model = build_model("torchvision:mobilenet_v3_large", form="imagenet", num_classes=7)
    assert model.training
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    # torchvision's published figure for 1000 classes, minus the difference in the last layer
    assert sum(p.numel() for p in model.parameters()) == 5_483_032 - 993 * 1281


def test_timms_networks_take_its_own_arguments():
    pytest.importorskip("timm", reason="timm is not installed (extra models)")
    name = "timm:vit_tiny_patch16_224"
    model = build_model(name, form="small", num_classes=3, img_size=32, patch_size=4)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert known_arguments(name, "small") == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:mobilnetv4_conv_small", "similar: mobilenetv4_conv_small"),
        ("torchvision:resnet19", "similar: resnet1"),
        ("keras:resnet50", "keras:resnet50"),
    ],
)
def test_an_unknown_name_lists_similar_ones(name, words):
    if name.startswith("timm"):
        pytest.importorskip("timm", reason="timm is not installed (extra models)")
    with pytest.raises(UserError, match=words):
        build_model(name, form="imagenet", num_classes=10)


def test_arguments_that_the_library_rejects_are_named():
    with pytest.raises(UserError, match="cannot be built with"):
        build_model("torchvision:resnet18", form="imagenet", num_classes=10, nonsense=1)


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"efficiency-bench\[models\]"):
        build_model("timm:resnet18", form="imagenet", num_classes=10)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("timm:resnet18", {"pretrained": True}),
        ("timm:resnet18", {"checkpoint_path": "x.pth"}),
        ("torchvision:resnet18", {"weights": "DEFAULT"}),
    ],
)
def test_weights_are_never_loaded(name, argument):
    (key,) = argument
    with pytest.raises(UserError, match=f"{key} is not allowed, weights are never loaded"):
        build_model(name, form="imagenet", num_classes=10, **argument)


def test_a_hub_address_is_not_a_network_name():
    """timm would download it."""
    pytest.importorskip("timm", reason="timm is not installed (extra models)")
    with pytest.raises(UserError, match="timm has no network 'hf-hub:timm/resnet18'"):
        build_model("timm:hf-hub:timm/resnet18", form="imagenet", num_classes=10)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_warn_about_initialisation_build_without_warning(name):
    with torch.device("meta"):
        model = build_model(f"torchvision:{name}", form="small", num_classes=3)
    assert model.fc.out_features == 3


def test_a_wrong_size_for_a_transformer_repeats_the_librarys_message():
    with torch.device("meta"):
        model = build_model("torchvision:vit_b_16", form="imagenet", num_classes=3)
    with pytest.raises(UserError, match=r"cannot take 64 px images \(Wrong image height.*224"):
        check_input(model, 64, "torchvision:vit_b_16", "imagenet")
    check_input(model, 224, "torchvision:vit_b_16", "imagenet")
