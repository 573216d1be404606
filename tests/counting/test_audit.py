"""The audit: both counters at zero tolerance, and every kind of rejection."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import efficientnet_b0

from efficiency_bench.counting import CountersDisagreeError, UncountedOperatorError, operators
from efficiency_bench.counting.audit import audit, audited_count
from efficiency_bench.counting.independent import count_step, count_training_step
from efficiency_bench.models import MODELS, build_model

AFTER_2019 = {
    "torchvision:convnext_tiny": 224,
    "torchvision:vit_b_16": 224,
    "torchvision:swin_t": 224,
    "torchvision:swin_v2_t": 64,
    "torchvision:efficientnet_v2_s": 128,
    "torchvision:regnet_y_400mf": 224,
    "torchvision:mobilenet_v3_large": 224,
    "torchvision:maxvit_t": 224,
    "timm:vit_small_patch16_224": 224,
    "timm:deit_tiny_distilled_patch16_224": 224,
    "timm:mobilenetv4_conv_small": 224,
    "timm:efficientvit_b0": 224,
    "timm:efficientvit_m0": 224,
    "timm:fastvit_t8": 224,
    "timm:convnextv2_atto": 128,
    "timm:mobileone_s0": 64,
    "timm:repvit_m0_9": 128,
    "timm:edgenext_xx_small": 224,
    "timm:ghostnetv3_100": 64,
    "timm:starnet_s1": 128,
    "timm:levit_128s": 224,
    "timm:xcit_nano_12_p16_224": 224,
    "timm:coatnet_nano_rw_224": 224,
    "timm:hiera_tiny_224": 224,
    "timm:mambaout_femto": 96,
}
"""Networks first published after 2019 and the side at which both counters are compared, px."""

TORCHVISIONS_GMACS = {
    "torchvision:convnext_tiny": 4.456,
    "torchvision:vit_b_16": 17.564,
    "torchvision:swin_t": 4.491,
    "torchvision:regnet_y_400mf": 0.402,
    "torchvision:mobilenet_v3_large": 0.217,
}
"""``_ops`` of torchvision's weights, GMACs at 224 px to three decimals."""

IMAGENET = (3, 224, 224)
B, P, C = 2, 12, 5  # images, side in px, classes


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * P * P, C)
    )


CONV, HEAD = 4 * P * P * 27, 4 * P * P * C
"""Closed forms of ``small_net``: output pixels times 3x3x3, and inputs times classes."""


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_network_at_its_training_sizes(name):
    for form, classes, side in (("imagenet", 1000, 160), ("small", 10, 32)):
        found = audit(build_model(name, form=form, num_classes=classes), (3, side, side))
        assert found.unknown == {}
        assert found.disagreements == ()
        assert found.plainly_trained


@pytest.mark.parametrize("name", AFTER_2019)
def test_networks_from_after_2019(name):
    if name.startswith("timm:"):
        pytest.importorskip("timm", reason="timm is not installed (extra models)")
    side = AFTER_2019[name]
    found = audit(build_model(name, form="imagenet", num_classes=1000), (3, side, side))
    assert found.unknown == {}
    assert found.disagreements == ()
    if name in TORCHVISIONS_GMACS:
        assert round(found.count.forward_macs / 1e9, 3) == TORCHVISIONS_GMACS[name]


def test_the_independent_counter_matches_closed_forms_of_alexnet_and_resnet18():
    for name, forward, backward in (
        ("alexnet", 714_188_480, 1_358_100_160),
        ("resnet18", 1_814_073_344, 3_510_132_736),
    ):
        step = count_training_step(build_model(name, form="imagenet", num_classes=1000), IMAGENET)
        assert (step.forward_macs, step.backward_macs) == (forward, backward)


def test_torchs_own_counter_is_wrong_on_grouped_gradients_and_ours_is_not():
    """Uncorrected, B/F of EfficientNet-B0 would be 40.7 instead of 1.97."""
    model = efficientnet_b0(weights=None)
    images = torch.rand(2, 3, 64, 64)
    with FlopCounterMode(display=False) as flops:
        logits = model(images)
        forward = flops.get_total_flops() / 4  # two images, two FLOPs per MAC
        F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    torchs = flops.get_total_flops() / 4 - forward
    step = count_training_step(model, (3, 64, 64))
    assert step.forward_macs == forward
    assert torchs / forward > 10 > 2 > step.backward_macs / forward > 1.9


class HiddenProduct(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight):
        context.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        return gradient @ weight.T, x.T @ gradient


class Hiding(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(C))

    def forward(self, x):
        return HiddenProduct.apply(x, self.weight)


def test_a_product_hidden_in_an_autograd_function_is_rejected_with_its_module():
    model = nn.Sequential(small_net(), Hiding())
    with pytest.raises(UncountedOperatorError, match=r"PythonOp.*in module 1 "):
        audited_count(model, (3, P, P))
    found = audit(model, (3, P, P))
    assert not found.agrees
    assert found.independent.forward_macs == CONV + HEAD + C * C


@torch.library.custom_op("bench_test::doubled", mutates_args=())
def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


torch.library.register_autograd("bench_test::doubled", lambda context, gradient: gradient * 2)


class Custom(nn.Module):
    def forward(self, x):
        return torch.ops.bench_test.doubled(x)


def test_a_custom_operator_is_rejected_with_its_module():
    model = nn.Sequential(small_net(), Custom())
    with pytest.raises(UncountedOperatorError, match=r"bench_test::doubled in module 1 "):
        audited_count(model, (3, P, P))
    assert ("bench_test::doubled", "1") in audit(model, (3, P, P)).independent.without_formula


def test_a_wrong_handle_is_detected_with_its_module(monkeypatch):
    """One counter charges half the cost of a linear layer; the other is unaffected."""
    right = operators.CONTRACTIONS["aten::linear"]

    def half(inputs, outputs):
        return tuple(p._replace(macs=p.macs // 2) for p in right(inputs, outputs))

    wrong = {**operators.CONTRACTIONS, "aten::linear": half}
    monkeypatch.setattr(operators, "CONTRACTIONS", wrong)
    with pytest.raises(CountersDisagreeError) as refused:
        audited_count(small_net(), (3, P, P))
    message = str(refused.value)
    assert f"forward MACs per image: {CONV + HEAD // 2} by fvcore, {CONV + HEAD}" in message
    assert f"in 3 ({HEAD // 2} by fvcore, {HEAD})" in message


def test_a_wrong_backward_count_is_detected(monkeypatch):
    from efficiency_bench.counting import formulas

    monkeypatch.setitem(
        formulas.FORMULAS,
        "aten::convolution_backward",
        lambda args, result: 2 * formulas.convolution_backward(args, result),
    )
    with pytest.raises(CountersDisagreeError, match="backward MACs per image"):
        audited_count(small_net(), (3, P, P))


def test_frozen_layers_are_counted_as_they_run():
    model = small_net()
    model[0].requires_grad_(False)
    found = audit(model, (3, P, P))
    assert found.agrees
    # the frozen filter gets no gradient, and nothing before the head needs one
    assert found.count.backward_macs == found.independent.backward_macs == HEAD
    assert not found.plainly_trained


def test_auxiliary_heads_are_counted():
    found = audit(build_model("googlenet", form="imagenet", num_classes=1000), IMAGENET)
    assert found.agrees
    assert found.independent.forward_macs == 1_506_748_416


def test_the_training_graph_is_counted_not_the_one_fused_for_inference():
    timm = pytest.importorskip("timm", reason="timm is not installed (extra models)")
    model = timm.create_model("repvgg_a0", pretrained=False)
    training = audit(model, (3, 64, 64))
    fused = timm.utils.model.reparameterize_model(copy.deepcopy(model))
    inference = audit(fused, (3, 64, 64))
    assert training.agrees
    assert inference.agrees
    # in training a block has a 1x1 as well as its 3x3, at a ninth of the cost
    ratio = training.count.forward_macs / inference.count.forward_macs
    assert 1.05 < ratio < 1 + 1 / 9


def test_both_passes_of_sam_are_counted():
    """Sharpness-aware minimisation (Foret et al. 2020): climb, then descend from there."""
    model = small_net()
    images, labels = torch.rand(B, 3, P, P), torch.tensor([0, 1])

    def sam_step():
        for _ in range(2):
            F.cross_entropy(model(images), labels).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(parameter.grad, alpha=0.01)

    step = count_step(sam_step, model, (images,))
    assert step.forward_macs == 2 * B * (CONV + HEAD)
    assert step.backward_macs == 2 * B * (CONV + 2 * HEAD)


def test_a_teachers_forward_is_counted_without_a_backward():
    student, teacher = small_net(), small_net()
    images = torch.rand(B, 3, P, P)

    def distillation_step():
        with torch.no_grad():
            wanted = teacher(images).softmax(1)
        F.cross_entropy(student(images), wanted).backward()

    step = count_step(distillation_step, student, (images,))
    assert step.forward_macs == 2 * B * (CONV + HEAD)
    assert step.backward_macs == B * (CONV + 2 * HEAD)


def test_a_recomputed_block_is_counted_twice():
    model = small_net()
    images, labels = torch.rand(B, 3, P, P), torch.tensor([0, 1])

    def step():
        logits = torch.utils.checkpoint.checkpoint(model, images, use_reentrant=False)
        F.cross_entropy(logits, labels).backward()

    counted = count_step(step, model, (images,))
    # the second forward runs during the backward pass
    assert counted.forward_macs == B * (CONV + HEAD)
    assert counted.backward_macs > B * (CONV + 2 * HEAD)


def test_a_product_that_depends_only_on_the_images_size_is_constant():
    """Positions per pixel: their number depends on the image, their values do not."""

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Conv2d(1, 4, 1, bias=False)

        def forward(self, x):
            grid = torch.ones(1, 1, x.shape[2], x.shape[3]).cumsum(2)
            return x + self.project(grid)

    model = nn.Sequential(nn.Conv2d(3, 4, 1), Positions(), nn.Flatten(), nn.Linear(4 * P * P, C))
    found = audit(model, (3, P, P))
    assert found.agrees
    assert found.count.by_module["1.project"] == 4 * P * P


def test_the_audit_does_not_change_model_or_generators():
    model = build_model("resnet18", form="small", num_classes=10).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    audit(model, (3, 32, 32))
    assert torch.equal(torch.rand(3), expected)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "torchvision:vit_b_16"])
def test_the_audit_on_a_gpu(name):
    found = audit(build_model(name, form="imagenet", num_classes=1000).cuda(), IMAGENET)
    assert found.agrees


def test_images_that_are_not_square_are_rejected():
    with pytest.raises(ValueError, match="must be square, not 8 x 6 px"):
        audit(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()), (3, 8, 6))
