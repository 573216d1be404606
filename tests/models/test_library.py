"""Networks of other libraries by name, without code and without downloads."""

import sys

import pytest
import torch

from efficiency_bench.errors import UserError
from efficiency_bench.models import build_model, known_arguments


def test_a_name_with_a_prefix_is_that_librarys_network():
    model = build_model("torchvision:mobilenet_v3_large", form="imagenet", num_classes=7)
    assert model.training
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    # torchvision's documented figure for a thousand classes, less its last layer's difference
    assert sum(p.numel() for p in model.parameters()) == 5_483_032 - 993 * 1281


def test_timms_networks_take_its_own_arguments():
    pytest.importorskip("timm", reason="the timm extra is not installed")
    name = "timm:vit_tiny_patch16_224"
    model = build_model(name, form="small", num_classes=3, img_size=32, patch_size=4)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert known_arguments(name, "small") == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:mobilnetv4_conv_small", "near it: mobilenetv4_conv_small"),
        ("torchvision:resnet19", "near it: resnet1"),
        ("keras:resnet50", "keras:resnet50"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name, words):
    if name.startswith("timm"):
        pytest.importorskip("timm", reason="the timm extra is not installed")
    with pytest.raises(UserError, match=words):
        build_model(name, form="imagenet", num_classes=10)


def test_arguments_that_the_library_refuses_are_named():
    with pytest.raises(UserError, match="cannot be built with"):
        build_model("torchvision:resnet18", form="imagenet", num_classes=10, nonsense=1)


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"efficiency-bench\[timm\]"):
        build_model("timm:resnet18", form="imagenet", num_classes=10)
