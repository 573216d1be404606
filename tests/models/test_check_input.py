"""An image size that a network cannot take is reported before the first step."""

from __future__ import annotations

import copy

import pytest
import torch

from efficiency_bench.errors import UserError
from efficiency_bench.models import MODELS, build_model, check_input


@pytest.mark.parametrize("name", list(MODELS))
def test_small_forms_take_16_px(name: str) -> None:
    model = build_model(name, form="small", num_classes=10)
    check_input(model, 16, name, "small")


def test_imagenet_form_at_32_px_says_what_to_type() -> None:
    # AlexNet's sides: 32 -> 7 -> 3 -> 1 -> no pool of 3; 63 is the first that leaves a pixel:
    # (63 + 4 - 11) // 4 + 1 = 15 -> 7 -> 3 -> 1
    model = build_model("alexnet", form="imagenet", num_classes=10)
    with pytest.raises(UserError, match=r"cannot take 32 px .* works from 63 px on.*form=small"):
        check_input(model, 32, "alexnet", "imagenet")
    check_input(model, 63, "alexnet", "imagenet")


def test_small_form_at_4_px_says_which_size_works() -> None:
    # three pools of 2: 8 px is the smallest size that leaves a pixel
    model = build_model("vgg11", form="small", num_classes=10)
    with pytest.raises(UserError, match=r"vgg11 .*4 px .* works from 8 px on: use larger images"):
        check_input(model, 4, "vgg11", "small")


def test_message_is_at_most_two_lines() -> None:
    model = build_model("vgg11", form="small", num_classes=10)
    with pytest.raises(UserError) as raised:
        check_input(model, 4, "vgg11", "small")
    assert len(str(raised.value).splitlines()) <= 2


@pytest.mark.parametrize("image_px", [0, -3])
def test_no_pixels(image_px: int) -> None:
    model = build_model("resnet18", form="small", num_classes=10)
    with pytest.raises(UserError, match="image_px must be at least 1"):
        check_input(model, image_px, "resnet18", "small")


@pytest.mark.parametrize("image_px", [4, 16])
def test_nothing_changes(image_px: int) -> None:
    model = build_model("googlenet", form="small", num_classes=10)
    model.train()
    model.stage3.eval()  # as if a user had frozen it
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    generator = torch.get_rng_state()
    check_input(model, image_px, "googlenet", "small")
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert all(p.grad is None for p in model.parameters())


def test_modes_are_restored_after_a_failure() -> None:
    model = build_model("vgg11", form="small", num_classes=10)
    model.classifier.eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(UserError):
        check_input(model, 4, "vgg11", "small")
    assert [module.training for module in model.modules()] == modes
