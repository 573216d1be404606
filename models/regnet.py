"""RegNetY-400MF: residual bottlenecks in groups of 8 channels, with squeeze-and-excitation.

Radosavovic et al. 2020, "Designing Network Design Spaces" (arXiv 2003.13678), the RegNetY table of
appendix A: 16 blocks, whose widths a quantised straight line gives.  Built from that line's
rounded widths, with torchvision's blocks.

Small form (models/small_form.py), departures from the ImageNet form:
- stem and first stage have stride 1 (2).
The width of a group is scaled too, and the stages' widths are multiples of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torchvision.models.regnet import BlockParams, RegNet

from efficiency_bench.models.pointwise import skip_pixels_first
from efficiency_bench.models.small_form import CLASSES, Scaled, Shape, conv, nearest

DEPTHS = [1, 3, 6, 6]
WIDTHS = [48, 104, 208, 440]
STEM_CHANNELS = 32
GROUP_CHANNELS = 8
SQUEEZE = 0.25  # of the channels that a block reads
SMALL_SIDES_PX = (32, 16, 8, 4)  # of each stage's maps


def imagenet(num_classes: int) -> nn.Module:
    """RegNetY-400MF for (batch, 3, 224, 224), equal to torchvision's."""
    return RegNet(
        _blocks(WIDTHS, GROUP_CHANNELS, first_stride=2),
        num_classes=num_classes,
        stem_width=STEM_CHANNELS,
    )


def small(num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; ``widths`` of a group, the stem, the stages."""
    group, stem, *stages = widths
    network = RegNet(
        _blocks(stages, group, first_stride=1), num_classes=num_classes, stem_width=stem
    )
    network.stem[0].stride = (1, 1)
    skip_pixels_first(network)
    return network


def small_scaled(multiplier: float) -> Scaled:
    """Widths of a group, the stem and the stages; a group's is no width of its own to raise."""
    group = nearest(GROUP_CHANNELS * multiplier)
    stages = (nearest(width * multiplier, group) for width in WIDTHS)
    widths = (group, nearest(STEM_CHANNELS * multiplier), *stages)
    return Scaled(widths, (0, 1, *[group] * len(WIDTHS)))


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    group, channels, *stages = widths
    side_in = SMALL_SIDES_PX[0]
    macs = conv(3, channels, 3, side_in)
    for width, blocks, side in zip(stages, DEPTHS, SMALL_SIDES_PX, strict=True):
        for block in range(blocks):
            macs += conv(channels, width, 1, side_in)
            macs += conv(width, width, 3, side, groups=width // group)
            macs += 2 * width * round(SQUEEZE * channels)
            macs += conv(width, width, 1, side)
            if block == 0:
                macs += conv(channels, width, 1, side)
            channels, side_in = width, side
    return macs + channels * CLASSES


SHAPE = Shape(401_842_848, small_scaled, small_macs)


def _blocks(widths: list[int], group: int, first_stride: int) -> BlockParams:
    """The four stages; torchvision's builder computes the widths with tensors, which would tie
    it to a device that holds numbers."""
    stages = len(widths)
    return BlockParams(
        depths=DEPTHS,
        widths=widths,
        group_widths=[group] * stages,
        bottleneck_multipliers=[1.0] * stages,
        strides=[first_stride, *[2] * (stages - 1)],
        se_ratio=SQUEEZE,
    )
