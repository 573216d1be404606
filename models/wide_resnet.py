"""Wide ResNet-50-2: ResNet-50 with twice the width inside each bottleneck.

Zagoruyko, Komodakis 2016, "Wide Residual Networks" (arXiv 1605.07146), section 3.4.

Small form (models/small_form.py), departures from the ImageNet form: those of ResNet
(models/resnet.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torchvision
from torch import nn

from efficiency_bench.models.resnet import STAGES, WIDTHS, SmallResNet, small_macs
from efficiency_bench.models.small_form import Shape, rounded

WIDTH_PER_GROUP = 128  # twice ResNet's 64
SHAPE = Shape(
    11_398_021_120, rounded(WIDTHS), partial(small_macs, 50, width_per_group=WIDTH_PER_GROUP)
)


def imagenet(num_classes: int) -> nn.Module:
    """torchvision's Wide ResNet-50-2 for (batch, 3, 224, 224)."""
    return torchvision.models.wide_resnet50_2(weights=None, num_classes=num_classes)


def small(num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    block, repeats = STAGES[50]
    return SmallResNet(block, repeats, widths, num_classes, width_per_group=WIDTH_PER_GROUP)
