"""ShuffleNet v1: grouped pointwise convolutions, mixed by shuffling channels.

Zhang, Zhou, Lin, Sun 2017, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
Mobile Devices" (arXiv 1707.01083), table 1, column g = 3, at width 1x.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution with stride 1 (2), no pool after it.
All widths are multiples of the three groups; a bottleneck's is the one nearest to a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efficiency_bench.models.small_form import CLASSES, Shape, conv, nearest, rounded

GROUPS = 3
STEM_CHANNELS = 24
STAGE_CHANNELS = (240, 480, 960)  # table 1, g = 3
STAGE_UNITS = (4, 8, 4)  # one with stride 2, then 3, 7, 3 with stride 1


def imagenet(num_classes: int) -> nn.Module:
    """ShuffleNet v1 1x, g = 3, for (batch, 3, 224, 224)."""
    stem = _stem(STEM_CHANNELS, stride=2)
    stem.append(nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
    return ShuffleNetV1(stem, (STEM_CHANNELS, *STAGE_CHANNELS), num_classes)


def small(num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    return ShuffleNetV1(_stem(widths[0], stride=1), widths, num_classes)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form: the stem at 32 px, each stage at half the side of the one before."""
    channels, side_in, first_groups = widths[0], 32, 1
    macs = conv(3, channels, 3, side_in)
    for width, units in zip(widths[1:], STAGE_UNITS, strict=True):
        side, inner = side_in // 2, bottleneck(width)
        macs += conv(channels, inner, 1, side_in, first_groups)
        macs += conv(inner, width - channels, 1, side, GROUPS)
        macs += units * conv(inner, inner, 3, side, groups=inner)
        macs += 2 * (units - 1) * conv(inner, width, 1, side, GROUPS)
        channels, side_in, first_groups = width, side, GROUPS
    return macs + channels * CLASSES


SHAPE = Shape(137_460_672, rounded((STEM_CHANNELS, *STAGE_CHANNELS), [GROUPS] * 4), small_macs)


def bottleneck(channels: int) -> int:
    """Inner width of a unit with that many output channels: a quarter (section 3.2)."""
    return nearest(channels / 4, GROUPS)


def _stem(channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def shuffle(features: Tensor, groups: int) -> Tensor:
    """Deal the channels of (batch, channels, h, w) out over ``groups``, like cards.

    Channel ``g * n + i`` (n channels a group) goes to place ``i * groups + g``, so that each
    group of the next layer reads from all groups of this one (section 3.1).
    """
    batch, channels, height, width = features.shape
    dealt = features.view(batch, groups, channels // groups, height, width).transpose(1, 2)
    return dealt.reshape(batch, channels, height, width)


class Unit(nn.Module):
    """Grouped 1x1, shuffle, depthwise 3x3, grouped 1x1, joined with the input (figure 2).

    With stride 1 the input is added; with stride 2 it is averaged and concatenated, so the
    branch gives only the channels that are missing.  ``reads_stem``: the first convolution is
    not grouped, since few channels come from the stem (section 3.3).
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, *, reads_stem: bool = False
    ) -> None:
        super().__init__()
        self.stride = stride
        inner = bottleneck(channels_out)
        branch_out = channels_out if stride == 1 else channels_out - channels_in
        first_groups = 1 if reads_stem else GROUPS
        self.compress = nn.Conv2d(channels_in, inner, 1, groups=first_groups, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.depthwise = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.expand = nn.Conv2d(inner, branch_out, 1, groups=GROUPS, bias=False)
        self.norm3 = nn.BatchNorm2d(branch_out)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels_in, h, w) to (batch, channels_out, h / stride, w / stride)."""
        branch = shuffle(F.relu(self.norm1(self.compress(features))), GROUPS)
        branch = self.norm3(self.expand(self.norm2(self.depthwise(branch))))
        if self.stride == 1:
            return F.relu(features + branch)
        pooled = F.avg_pool2d(features, kernel_size=3, stride=2, padding=1)
        return F.relu(torch.cat((pooled, branch), dim=1))


class ShuffleNetV1(nn.Module):
    """A stem and three stages of units; logits of shape (batch, num_classes).

    ``widths`` are the channels of the stem and of each stage.
    """

    def __init__(self, stem: nn.Sequential, widths: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.stem = stem
        stages: list[nn.Module] = []
        channels = widths[0]
        for channels_out, units in zip(widths[1:], STAGE_UNITS, strict=True):
            first = Unit(channels, channels_out, stride=2, reads_stem=not stages)
            rest = [Unit(channels_out, channels_out, stride=1) for _ in range(units - 1)]
            stages.append(nn.Sequential(first, *rest))
            channels = channels_out
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.fc(self.avgpool(self.stages(self.stem(images))).flatten(1))
