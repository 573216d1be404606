"""RegNetY-400MF: residual bottlenecks in groups of 8 channels, with squeeze-and-excitation.

Radosavovic et al. 2020, "Designing Network Design Spaces" (arXiv 2003.13678), the RegNetY table of
appendix A: 16 blocks, whose widths a quantised straight line gives.  Built from that line's
rounded widths, with torchvision's blocks.

Small form, departures from the ImageNet form:
- stem and first stage have stride 1 (2);
- channels x 0.3, rounded to multiples of the group's 8: 16, 32, 64, 128 (48, 104, 208, 440), and
  8 in the stem (32).
"""

from __future__ import annotations

from torch import nn
from torchvision.models.regnet import BlockParams, RegNet

DEPTHS = [1, 3, 6, 6]
WIDTHS = [48, 104, 208, 440]
STEM_CHANNELS = 32
SMALL_WIDTHS = [16, 32, 64, 128]
SMALL_STEM_CHANNELS = 8
GROUP_CHANNELS = 8
SQUEEZE = 0.25  # of the channels that a block reads


def imagenet(num_classes: int) -> nn.Module:
    """RegNetY-400MF for (batch, 3, 224, 224), equal to torchvision's."""
    return RegNet(
        _blocks(WIDTHS, first_stride=2), num_classes=num_classes, stem_width=STEM_CHANNELS
    )


def small(num_classes: int) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; 16 px end at 2x2."""
    network = RegNet(
        _blocks(SMALL_WIDTHS, first_stride=1),
        num_classes=num_classes,
        stem_width=SMALL_STEM_CHANNELS,
    )
    network.stem[0].stride = (1, 1)
    return network


def _blocks(widths: list[int], first_stride: int) -> BlockParams:
    """The four stages; torchvision's builder computes the widths with tensors, which would tie
    it to a device that holds numbers."""
    stages = len(widths)
    return BlockParams(
        depths=DEPTHS,
        widths=widths,
        group_widths=[GROUP_CHANNELS] * stages,
        bottleneck_multipliers=[1.0] * stages,
        strides=[first_stride, *[2] * (stages - 1)],
        se_ratio=SQUEEZE,
    )
