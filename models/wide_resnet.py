"""Wide ResNet-50-2: ResNet-50 with twice the width inside each bottleneck.

Zagoruyko, Komodakis 2016, "Wide Residual Networks" (arXiv 1605.07146), section 3.4.

Small form, departures from the ImageNet form: those of ResNet (models/resnet.py), with 8
channels in the first stage (64), so that twice as wide still costs little.
"""

from __future__ import annotations

import torchvision
from torch import nn

from efficiency_bench.models.resnet import STAGES, SmallResNet

WIDTH = 8  # small form: channels of the first stage
WIDTH_PER_GROUP = 128  # twice ResNet's 64


def imagenet(num_classes: int) -> nn.Module:
    """torchvision's Wide ResNet-50-2 for (batch, 3, 224, 224)."""
    return torchvision.models.wide_resnet50_2(weights=None, num_classes=num_classes)


def small(num_classes: int) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    block, repeats = STAGES[50]
    return SmallResNet(block, repeats, WIDTH, num_classes, width_per_group=WIDTH_PER_GROUP)
