"""DenseNet-121: four dense blocks, in which each layer reads all the maps before it.

Huang, Liu, van der Maaten, Weinberger 2016, "Densely Connected Convolutional Networks"
(arXiv 1608.06993), table 1.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution 3x3 with stride 1 (7x7 with stride 2), no pool after it.
Each block has a growth rate of its own, which the rule may raise by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torchvision
from torch import Tensor, nn
from torchvision.models.densenet import _DenseBlock, _Transition

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

BLOCKS = (6, 12, 24, 16)  # layers in each dense block, DenseNet-121 of table 1
GROWTH = 32  # channels that a layer adds
STEM_CHANNELS = 2 * GROWTH
BOTTLENECK = 4  # inner width of a layer, as a multiple of the growth
SMALL_SIDES_PX = (32, 16, 8, 4)  # of each block's maps


def imagenet(num_classes: int, *, dropout: float = 0.0) -> nn.Module:
    """torchvision's DenseNet-121 for (batch, 3, 224, 224); ``dropout`` after each layer."""
    return torchvision.models.densenet121(weights=None, num_classes=num_classes, drop_rate=dropout)


def small(num_classes: int, widths: Sequence[int], *, dropout: float = 0.0) -> nn.Module:
    """The small form for (batch, 3, s, s), s from 8 px on."""
    return SmallDenseNet(num_classes, widths, dropout)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    channels, *growths = widths
    macs = conv(3, channels, 3, SMALL_SIDES_PX[0])
    for layers, growth, side in zip(BLOCKS, growths, SMALL_SIDES_PX, strict=True):
        for _ in range(layers):
            inner = BOTTLENECK * growth
            macs += conv(channels, inner, 1, side) + conv(inner, growth, 3, side)
            channels += growth
        if side != SMALL_SIDES_PX[-1]:
            macs += conv(channels, channels // 2, 1, side)
            channels //= 2
    return macs + channels * CLASSES


SHAPE = Shape(2_834_161_664, rounded((STEM_CHANNELS, *[GROWTH] * len(BLOCKS))), small_macs)


class SmallDenseNet(nn.Module):
    """torchvision's dense blocks, halved in width and side between two of them.

    ``widths`` are the channels of the stem and each block's growth rate.
    """

    def __init__(self, num_classes: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        channels, *growths = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        stages: list[nn.Module] = []
        for layers, growth in zip(BLOCKS, growths, strict=True):
            if stages:
                stages.append(_Transition(channels, channels // 2))
                channels //= 2
            stages.append(_DenseBlock(layers, channels, BOTTLENECK, growth, dropout))
            channels += layers * growth
        self.stages = nn.Sequential(*stages, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.fc(self.avgpool(self.stages(self.stem(images))).flatten(1))
