"""The small forms: same layers as the ImageNet form, right shapes, able to learn."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from efficiency_bench.models import MODELS, Form, build_model, known_arguments
from tests.models.closed_form import Layer, trace

# The depth in each network's name: convolutions and linear layers along the deepest path,
# from the papers (AlexNet 5 + 3, VGG table 1, ResNet table 1, MobileNet v1 28).
NAMED_DEPTHS = {"alexnet": 8, "vgg11": 11, "vgg16": 16, "mobilenet_v1": 28}
NAMED_DEPTHS |= {"resnet18": 18, "resnet34": 34, "resnet50": 50}


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """16 handwritten digits as normalised images (16, 3, 16, 16), and their classes."""
    data = load_digits()
    images = torch.tensor(data.images[:16], dtype=torch.float32)[:, None]
    images = F.interpolate((images - images.mean()) / images.std(), size=16, mode="bilinear")
    return images.expand(-1, 3, -1, -1).contiguous(), torch.tensor(data.target[:16])


def shape_of(layer: Layer, position: int) -> tuple[object, ...]:
    """What both forms must share: kind, kernel (except the stem's) and grouping."""
    kernel = layer.kernel_px if position > 0 else "stem"
    return layer.kind, kernel, layer.grouped


@cache
def traced(name: str, form: Form, image_px: int, train: bool) -> list[Layer]:
    """The layers of a network; the ImageNet form on the meta device, to save memory and time."""
    with torch.device("meta" if form == "imagenet" else "cpu"):
        model = build_model(name, form=form, num_classes=10)
    return trace(model, image_px, train=train)


def both_forms(name: str, *, train: bool) -> list[list[tuple[object, ...]]]:
    forms = traced(name, "imagenet", 224, train), traced(name, "small", 32, train)
    return [[shape_of(layer, i) for i, layer in enumerate(layers)] for layers in forms]


@pytest.mark.parametrize("name", list(MODELS))
def test_same_layers_in_the_same_order(name: str) -> None:
    imagenet, small = both_forms(name, train=False)
    assert small == imagenet


def test_googlenet_heads_have_the_same_layers() -> None:
    imagenet, small = both_forms("googlenet", train=True)
    assert len(imagenet) == 9 * 6 + 3 + 1 + 2 * 3  # inceptions, stem, classifier, two heads
    assert Counter(small) == Counter(imagenet)


@pytest.mark.parametrize(("name", "depth"), list(NAMED_DEPTHS.items()))
def test_depth_is_the_one_in_the_name(name: str, depth: int) -> None:
    imagenet, small = both_forms(name, train=False)
    is_resnet = name.startswith("resnet")
    # a ResNet's projections are not on the deepest path: one per stage that changes the width
    projections = {"resnet18": 3, "resnet34": 3, "resnet50": 4}[name] if is_resnet else 0
    assert len(imagenet) - projections == len(small) - projections == depth


@pytest.mark.parametrize("name", list(MODELS))
def test_widths_rise_and_fall_together(name: str) -> None:
    """From layer to layer the small form never narrows where the ImageNet form widens."""
    forms = traced(name, "imagenet", 224, False), traced(name, "small", 32, False)
    imagenet, small = ([layer.channels_out for layer in layers[:-1]] for layers in forms)
    for (before, after), (small_before, small_after) in zip(
        pairwise(imagenet), pairwise(small), strict=True
    ):
        if after > before:  # equal widths may round to different ones
            assert small_after >= small_before
        if after < before:
            assert small_after <= small_before
    assert all(narrow <= wide for wide, narrow in zip(imagenet, small, strict=True))


@pytest.mark.parametrize("name", list(MODELS))
def test_the_border_of_zeros_of_a_random_crop_pulls_no_more_than_the_image(name: str) -> None:
    """A layer norm of zeros multiplies gradients by 1000, so that a network learns its border."""
    torch.manual_seed(0)
    model = build_model(name, form="small", num_classes=10).eval()
    border = torch.zeros(32, 32, dtype=torch.bool)
    border[:2] = border[:, :2] = True
    images = torch.randn(4, 3, 32, 32).masked_fill(border, 0.0).requires_grad_()
    F.cross_entropy(model(images), torch.arange(4)).backward()
    assert images.grad is not None
    pull = images.grad.norm(dim=(0, 1))
    assert pull[border].mean() < 4 * pull[~border].mean()


@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("name", list(MODELS))
def test_output_shapes(name: str, num_classes: int) -> None:
    model = build_model(name, form="small", num_classes=num_classes)
    for image_px in (16, 24, 32):
        images = torch.randn(2, 3, image_px, image_px)
        with torch.no_grad():
            trained = model.train()(images)
            evaluated = model.eval()(images)
        assert isinstance(evaluated, Tensor)
        assert evaluated.shape == (2, num_classes)
        if name == "googlenet":
            assert isinstance(trained, tuple)
            assert [logits.shape for logits in trained] == [(2, num_classes)] * 3
        else:
            assert isinstance(trained, Tensor)
            assert trained.shape == (2, num_classes)


def test_googlenet_main_logits_come_first() -> None:
    """With dropout off and batch norm in eval mode, train mode's first output is eval mode's."""
    for form, image_px in (("small", 16), ("imagenet", 64)):
        model = build_model(
            "googlenet", form=form, num_classes=10, dropout=0.0, auxiliary_dropout=0.0
        )
        images = torch.randn(2, 3, image_px, image_px)
        with torch.no_grad():
            expected = model.eval()(images)
            model.training = True  # only the outermost module decides whether to return the heads
            logits, second, first = model(images)
        assert torch.equal(logits, expected)
        assert not torch.equal(second, first)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_parameter_gets_a_finite_gradient_and_the_loss_falls(
    name: str, digits: tuple[Tensor, Tensor]
) -> None:
    images, classes = digits
    torch.manual_seed(0)
    off = {key: 0.0 for key in known_arguments(name, "small") if key != "batch_norm_momentum"}
    model = build_model(name, form="small", num_classes=10, image_px=16, **off)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        outputs = model(images)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = sum((F.cross_entropy(head, classes) for head in heads), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item() / len(heads))
    assert min(losses[-3:]) < 0.95 * losses[0], losses


def test_plain_networks_start_with_signal_at_the_end() -> None:
    """Logits differ between images; with torch's default scale the difference vanishes."""
    torch.manual_seed(0)
    images = torch.randn(64, 3, 16, 16)
    for name in ("alexnet", "vgg11", "vgg16"):
        model = build_model(name, form="small", num_classes=10).eval()
        with torch.no_grad():
            ours = model(images).std(dim=0).mean()
            for module in model.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.reset_parameters()
            default = model(images).std(dim=0).mean()
        assert ours > 20 * default
