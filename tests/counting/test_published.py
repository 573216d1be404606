"""F, F1 and B of torchvision's networks against the published figures."""

import pytest
import torch
import torchvision.models as zoo
from torch import nn

from efficiency_bench.counting import count_forward

# Forward MACs at 224 px with 1000 classes, and F1 in percent of F: closed forms on which two
# independent counters agree.  GoogLeNet's MACs include auxiliary heads, its percentage does not.
GOLDEN = {
    "alexnet": (714_188_480, 9.84),
    "vgg11": (7_609_090_048, 1.14),
    "vgg16": (15_470_264_320, 0.56),
    "squeezenet1_1": (349_151_936, 6.10),
    "resnet18": (1_814_073_344, 6.50),
    "resnet34": (3_663_761_408, 3.22),
    "resnet50": (4_089_184_256, 2.89),
    "wide_resnet50_2": (11_398_021_120, 1.03),
    "resnext50_32x4d": (4_230_479_872, 2.79),
    "densenet121": (2_834_161_664, 4.16),
    "mobilenet_v2": (300_774_272, 3.60),
    "shufflenet_v2_x1_0": (144_907_992, 5.61),
    "shufflenet_v2_x1_5": (295_759_392, 2.75),
    "efficientnet_b0": (385_814_752, 2.81),
}

# torchvision publishes GMACs to three decimals, each at the resolution of its weights.
PUBLISHED_PX = {
    "vit_b_16": 224,
    "swin_t": 224,
    "swin_v2_t": 256,
    "maxvit_t": 224,
    "convnext_tiny": 224,
    "regnet_y_400mf": 224,
    "regnet_x_400mf": 224,
    "mobilenet_v3_large": 224,
    "mobilenet_v3_small": 224,
    "mnasnet0_5": 224,
    "efficientnet_b1": 240,
    "efficientnet_v2_s": 384,
    "squeezenet1_0": 224,
    "shufflenet_v2_x0_5": 224,
    "googlenet": 224,
    "resnet18": 224,
}


def _network(name: str, **arguments: bool) -> nn.Module:
    if name == "googlenet":
        # its default initialisation samples a truncated normal, which takes 30 s
        arguments["init_weights"] = False
    return zoo.get_model(name, weights=None, **arguments)


@pytest.mark.parametrize("name", GOLDEN)
def test_forward_and_first_layer(name: str) -> None:
    forward, first_percent = GOLDEN[name]
    count = count_forward(_network(name), (3, 224, 224))
    assert count.forward_macs == forward
    # the table truncates some second decimals and rounds others
    assert 100 * count.first_layer_macs / forward == pytest.approx(first_percent, abs=0.01)
    assert sum(count.by_operator.values()) == forward
    assert sum(count.by_module.values()) == forward
    assert count.backward_macs == 2 * forward - count.first_layer_macs


@pytest.mark.parametrize(
    ("name", "backward"), [("resnet18", 3_510_132_736), ("alexnet", 1_358_100_160)]
)
def test_backward(name: str, backward: int) -> None:
    assert count_forward(_network(name), (3, 224, 224)).backward_macs == backward


def test_auxiliary_heads_are_part_of_googlenet_in_training() -> None:
    count = count_forward(_network("googlenet"), (3, 224, 224))
    assert count.forward_macs == 1_506_748_416
    # 7.88 % of F without the heads; the image is normalised by slicing and stacking before it
    assert 100 * count.first_layer_macs / 1_498_376_192 == pytest.approx(7.88, abs=0.01)
    heads = sum(macs for module, macs in count.by_module.items() if module.startswith("aux"))
    assert count.forward_macs - heads == 1_498_376_192


@pytest.mark.parametrize("name", PUBLISHED_PX)
def test_torchvisions_published_gmacs(name: str) -> None:
    side = PUBLISHED_PX[name]
    published = zoo.get_model_weights(name).DEFAULT.meta["_ops"]
    model = _network(name, aux_logits=False) if name == "googlenet" else _network(name)
    count = count_forward(model, (3, side, side))
    assert round(count.forward_macs / 1e9, 3) == published


def test_compute_is_not_quadratic_in_resolution() -> None:
    """Map sides are rounded unless px is a multiple of 32: ShuffleNet v2 has 10 % less than 1/4."""
    model = _network("shufflenet_v2_x1_0")
    quarter = count_forward(model, (3, 112, 112)).forward_macs / 144_907_992 * 4
    assert quarter == pytest.approx(1.0, abs=0.12)
    assert quarter != pytest.approx(1.0, abs=0.03)


@pytest.mark.gpu
def test_counting_on_the_gpu_gives_the_same() -> None:
    before = torch.cuda.get_rng_state()
    count = count_forward(_network("efficientnet_b0").cuda(), (3, 224, 224))
    assert count.forward_macs == 385_814_752
    assert torch.equal(torch.cuda.get_rng_state(), before)
