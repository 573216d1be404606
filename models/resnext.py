"""ResNeXt-50 (32x4d): ResNet-50 whose bottlenecks are split into parallel groups.

Xie et al. 2016, "Aggregated Residual Transformations for Deep Neural Networks"
(arXiv 1611.05431), table 1.

Small form (models/small_form.py), departures from the ImageNet form: those of ResNet
(models/resnet.py).  Inner widths are multiples of the 32 groups, and half of what a block gives, as
in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torchvision
from torch import nn

from efficiency_bench.models.resnet import STAGES, WIDTHS, SmallResNet, small_macs
from efficiency_bench.models.small_form import Shape, rounded

GROUPS = 32  # cardinality
WIDTH_PER_GROUP = 4  # channels of a group in the first stage, where ResNet has 64 channels
STEP = 16  # of ResNet's channels: one channel more in each group
SHAPE = Shape(
    4_230_479_872,
    rounded(WIDTHS, [STEP] * len(WIDTHS)),
    partial(small_macs, 50, groups=GROUPS, width_per_group=WIDTH_PER_GROUP),
)


def imagenet(num_classes: int) -> nn.Module:
    """torchvision's ResNeXt-50 (32x4d) for (batch, 3, 224, 224)."""
    return torchvision.models.resnext50_32x4d(weights=None, num_classes=num_classes)


def small(num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    block, repeats = STAGES[50]
    return SmallResNet(
        block, repeats, widths, num_classes, groups=GROUPS, width_per_group=WIDTH_PER_GROUP
    )
