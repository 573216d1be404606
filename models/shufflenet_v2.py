"""ShuffleNet v2: units that split the channels, transform one half and shuffle.

Ma, Zhang, Zheng, Sun 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design" (arXiv 1807.11164), table 5, at widths 1x and 1.5x.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution with stride 1 (2), no pool after it.
Its stages have even widths, since a unit splits them in halves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torchvision
from torch import nn

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

STAGE_UNITS = [4, 8, 4]  # table 5
# width -> channels of stem, three stages, last convolution
CHANNELS = {"x1_0": (24, 116, 232, 464, 1024), "x1_5": (24, 176, 352, 704, 1024)}
STEPS = (1, 2, 2, 2, 1)
SMALL_SIDES_PX = (16, 8, 4)  # of each stage's maps


def imagenet(width: str, num_classes: int) -> nn.Module:
    """torchvision's ShuffleNet v2 of ``width`` x1_0 or x1_5 for (batch, 3, 224, 224)."""
    builders = {
        "x1_0": torchvision.models.shufflenet_v2_x1_0,
        "x1_5": torchvision.models.shufflenet_v2_x1_5,
    }
    return builders[width](weights=None, num_classes=num_classes)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    channels, *stages, last = widths
    macs = conv(3, channels, 3, 32)
    for width, units, side in zip(stages, STAGE_UNITS, SMALL_SIDES_PX, strict=True):
        half = width // 2
        depthwise, pointwise = conv(half, half, 3, side, groups=half), conv(half, half, 1, side)
        # the first unit halves the side: both of its branches read all channels
        macs += conv(channels, channels, 3, side, groups=channels) + conv(channels, half, 1, side)
        macs += conv(channels, half, 1, 2 * side) + depthwise + pointwise
        macs += (units - 1) * (depthwise + 2 * pointwise)
        channels = width
    return macs + conv(channels, last, 1, SMALL_SIDES_PX[-1]) + last * CLASSES


SHAPES = {
    "x1_0": Shape(144_907_992, rounded(CHANNELS["x1_0"], STEPS), small_macs),
    "x1_5": Shape(295_759_392, rounded(CHANNELS["x1_5"], STEPS), small_macs),
}


def small(num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    network = torchvision.models.ShuffleNetV2(STAGE_UNITS, list(widths), num_classes=num_classes)
    network.conv1[0].stride = (1, 1)
    network.maxpool = nn.Identity()
    return network
