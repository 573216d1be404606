"""Our own networks against the papers' tables, row by row, and AlexNet by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.models import build_model
from efficiency_bench.models.shufflenet_v1 import Unit, shuffle
from tests.models.closed_form import Layer, forward_macs, trace


@pytest.fixture(scope="module")
def mobilenet() -> list[Layer]:
    return trace(build_model("mobilenet_v1", form="imagenet", num_classes=1000), 224)


# Howard et al. 2017, table 1: kind of row, output channels, output side in px (the "input size"
# of the row below).  Its last depthwise row prints stride 2 with an output of 7.
MOBILENET_ROWS = [
    ("conv", 32, 112),
    ("dw", 32, 112),
    ("pw", 64, 112),
    ("dw", 64, 56),
    ("pw", 128, 56),
    ("dw", 128, 56),
    ("pw", 128, 56),
    ("dw", 128, 28),
    ("pw", 256, 28),
    ("dw", 256, 28),
    ("pw", 256, 28),
    ("dw", 256, 14),
    ("pw", 512, 14),
    *[("dw", 512, 14), ("pw", 512, 14)] * 5,
    ("dw", 512, 7),
    ("pw", 1024, 7),
    ("dw", 1024, 7),
    ("pw", 1024, 7),
    ("fc", 1000, 1),
]


def row_kind(layer: Layer) -> str:
    if layer.kind == "linear":
        return "fc"
    if layer.depthwise:
        assert layer.kernel_px == (3, 3)
        return "dw"
    assert not layer.grouped
    return "pw" if layer.kernel_px == (1, 1) else "conv"


def test_mobilenet_v1_rows_of_table_1(mobilenet: list[Layer]) -> None:
    found = [(row_kind(layer), layer.channels_out, layer.side_px) for layer in mobilenet]
    assert found == MOBILENET_ROWS


# Table 2's fourth share, 1.19 % for the 3x3 convolution, is inconsistent with the other three.
@pytest.mark.parametrize(("kind", "percent"), [("pw", 94.86), ("dw", 3.06), ("fc", 0.18)])
def test_mobilenet_v1_shares_of_table_2(mobilenet: list[Layer], kind: str, percent: float) -> None:
    macs = sum(layer.macs for layer in mobilenet if row_kind(layer) == kind)
    assert 100 * macs / forward_macs(mobilenet) == pytest.approx(percent, abs=0.011)


def test_shufflenet_v1_rows_of_table_1() -> None:
    model = build_model("shufflenet_v1", form="imagenet", num_classes=1000)
    layers = trace(model, 224)
    stem, units, classifier = layers[0], layers[1:-1], layers[-1]
    assert (stem.channels_out, stem.side_px, stem.kernel_px) == (24, 112, (3, 3))
    assert (classifier.kind, classifier.channels_out) == ("linear", 1000)
    assert len(units) == 3 * (4 + 8 + 4)

    # Zhang et al. 2017, table 1, g = 3: (output side, output channels, units) of stages 2 to 4
    row = 0
    channels_in = 24
    for side_px, channels, repeats in ((28, 240, 4), (14, 480, 8), (7, 960, 4)):
        for unit in range(repeats):
            compress, depthwise, expand = units[row : row + 3]
            row += 3
            strided = unit == 0
            # the stem's 24 channels are too few to group (section 3.3)
            assert compress.grouped == (channels_in != 24)
            assert compress.channels_out == depthwise.channels_out == channels // 4
            assert compress.side_px == (2 * side_px if strided else side_px)
            assert depthwise.depthwise
            assert depthwise.side_px == expand.side_px == side_px
            assert expand.grouped
            # a strided unit concatenates its averaged input, so its branch gives the rest
            assert expand.channels_out == (channels - channels_in if strided else channels)
            channels_in = channels
    assert round(forward_macs(layers) / 1e6) == 137  # "Complexity" row of table 1


@given(groups=st.integers(1, 6), members=st.integers(1, 6), side=st.integers(1, 3))
def test_shuffle_spreads_every_group_over_all_groups(groups: int, members: int, side: int) -> None:
    channels = groups * members
    numbered = torch.arange(channels, dtype=torch.float32).view(1, channels, 1, 1)
    dealt = shuffle(numbered.expand(2, channels, side, side), groups)
    expected = [float(g * members + i) for i in range(members) for g in range(groups)]
    assert dealt.shape == (2, channels, side, side)
    assert dealt[1, :, -1, 0].tolist() == expected


def test_shufflenet_v1_unit_with_a_dead_branch_passes_its_input() -> None:
    images = torch.rand(2, 12, 4, 4)
    kept, strided = Unit(12, 12, stride=1).eval(), Unit(12, 36, stride=2).eval()
    for unit in (kept, strided):
        torch.nn.init.zeros_(unit.expand.weight)
    with torch.no_grad():
        assert torch.equal(kept(images), images)
        halved = strided(images)
    assert halved.shape == (2, 36, 2, 2)
    assert halved[:, 12:].abs().max() == 0
    # bottom right: all nine pixels of the 3x3 window are inside
    assert torch.allclose(halved[:, :12, 1, 1], images[:, :, 1:4, 1:4].mean(dim=(2, 3)))


def test_alexnet_by_hand() -> None:
    """Sides 224 -> 55 -> 27 -> 13 -> 6: (224 + 4 - 11) // 4 + 1 = 55, then pools of 3 by 2."""
    expected = [
        64 * 55 * 55 * 3 * 11 * 11,
        192 * 27 * 27 * 64 * 5 * 5,
        384 * 13 * 13 * 192 * 3 * 3,
        256 * 13 * 13 * 384 * 3 * 3,
        256 * 13 * 13 * 256 * 3 * 3,
        256 * 6 * 6 * 4096,
        4096 * 4096,
        4096 * 1000,
    ]
    with torch.device("meta"):
        model = build_model("alexnet", form="imagenet", num_classes=1000)
    assert [layer.macs for layer in trace(model, 224)] == expected
    assert sum(expected) == 714_188_480


def test_small_alexnet_by_hand() -> None:
    """Sides 32 -> 16 -> 8 -> 4; widths are 0.2637 times 64, 192, 384, 256, 256, 4096, 4096."""
    expected = [
        17 * 32 * 32 * 3 * 3 * 3,
        51 * 16 * 16 * 17 * 5 * 5,
        101 * 8 * 8 * 51 * 3 * 3,
        67 * 8 * 8 * 101 * 3 * 3,
        67 * 8 * 8 * 67 * 3 * 3,
        67 * 4 * 4 * 1080,
        1080 * 1080,
        1080 * 10,
    ]
    assert sum(expected) / 714_188_480 == pytest.approx(0.025, rel=0.003)
    model = build_model("alexnet", form="small", num_classes=10)
    assert [layer.macs for layer in trace(model, 32)] == expected


def test_small_vgg11_by_hand() -> None:
    """Sides 32 -> 16 -> 8 -> 4: the first two stacks have no pool."""
    expected = [
        9 * 3 * 19 * 32 * 32,
        9 * 19 * 37 * 32 * 32,
        9 * 37 * 75 * 32 * 32,
        9 * 75 * 75 * 32 * 32,
        9 * 75 * 149 * 16 * 16,
        9 * 149 * 149 * 16 * 16,
        9 * 149 * 149 * 8 * 8,
        9 * 149 * 149 * 8 * 8,
        149 * 4 * 4 * 1192,
        1192 * 1192,
        1192 * 10,
    ]
    model = build_model("vgg11", form="small", num_classes=10)
    assert [layer.macs for layer in trace(model, 32)] == expected
