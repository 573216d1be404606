"""SqueezeNet 1.1: fire modules, which squeeze with 1x1 before they expand, and no linear layer.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
model size" (arXiv 1602.07360); version 1.1 is the authors' later release, with 2.4 times less
compute, in torchvision's form.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution with stride 1 and padding 1 (stride 2, no padding);
- the last convolution, which feeds a rectifier too, has He initialisation like the others: with
  N(0, 0.01) the rectified logits of ten classes die together and the loss stays at chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import torchvision
from torch import nn
from torchvision.models.squeezenet import Fire

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

STEM_CHANNELS = 64
# Fire modules as (squeeze, expand) channels; each expand comes twice
FIRES = (
    *((16, 64), (16, 64)),
    *((32, 128), (32, 128)),
    *((48, 192), (48, 192), (64, 256), (64, 256)),
)
SMALL_SIDES_PX = (16, 16, 8, 8, 4, 4, 4, 4)  # of each fire module's maps


def imagenet(num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """torchvision's SqueezeNet 1.1 for (batch, 3, 224, 224)."""
    return torchvision.models.squeezenet1_1(weights=None, num_classes=num_classes, dropout=dropout)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form: sides 32 -> 16 -> 8 -> 4."""
    channels = widths[0]
    macs = conv(3, channels, 3, 32)
    for squeeze, expand, side in zip(widths[1::2], widths[2::2], SMALL_SIDES_PX, strict=True):
        macs += conv(channels, squeeze, 1, side)
        macs += conv(squeeze, expand, 1, side) + conv(squeeze, expand, 3, side)
        channels = 2 * expand
    return macs + conv(channels, CLASSES, 1, 4)


SHAPE = Shape(
    349_151_936,
    rounded([STEM_CHANNELS, *(width for fire in FIRES for width in fire)]),
    small_macs,
)


def small(num_classes: int, widths: Sequence[int], *, dropout: float = 0.5) -> nn.Module:
    """The small form for (batch, 3, s, s), s from 4 px on."""
    channels = widths[0]
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
    ]
    side_before = 32
    for squeeze, expand, side in zip(widths[1::2], widths[2::2], SMALL_SIDES_PX, strict=True):
        if side < side_before:
            layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
        layers.append(Fire(channels, squeeze, expand, expand))
        channels, side_before = 2 * expand, side
    classifier = (
        nn.Dropout(dropout),
        nn.Conv2d(channels, num_classes, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    network = nn.Sequential(*layers, *classifier)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.kaiming_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return network
