"""ResNeXt-50 (32x4d): ResNet-50 whose bottlenecks are split into parallel groups.

Xie et al. 2016, "Aggregated Residual Transformations for Deep Neural Networks"
(arXiv 1611.05431), table 1.

Small form, departures from the ImageNet form: those of ResNet (models/resnet.py), with 12
channels in the first stage (64), and 8 groups of 3 channels there (32 groups of 4): the inner
width stays twice ResNet's, as in the paper.
"""

from __future__ import annotations

import torchvision
from torch import nn

from efficiency_bench.models.resnet import STAGES, SmallResNet

WIDTH = 12  # small form: channels of the first stage
GROUPS = 8  # small form: cardinality (32)
WIDTH_PER_GROUP = 16  # 12 * 16 / 64 = 3 channels a group in the first stage


def imagenet(num_classes: int) -> nn.Module:
    """torchvision's ResNeXt-50 (32x4d) for (batch, 3, 224, 224)."""
    return torchvision.models.resnext50_32x4d(weights=None, num_classes=num_classes)


def small(num_classes: int) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    block, repeats = STAGES[50]
    return SmallResNet(
        block, repeats, WIDTH, num_classes, groups=GROUPS, width_per_group=WIDTH_PER_GROUP
    )
