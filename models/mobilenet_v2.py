"""MobileNet v2: inverted residuals with linear bottlenecks.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(arXiv 1801.04381), table 2.

Small form, departures from the ImageNet form:
- the first and the last of the five strides of 2 are 1 (stem, and the stage of 160 channels);
- width multiplier 0.35, one of the paper's own; it leaves the last convolution at 1280 channels.
"""

from __future__ import annotations

import torchvision
from torch import nn

# (expansion, channels, blocks, stride) of each stage: table 2 with the last stride 1
SMALL_STAGES = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 1],
    [6, 320, 1, 1],
]
SMALL_WIDTH = 0.35


def imagenet(num_classes: int, *, dropout: float = 0.2) -> nn.Module:
    """torchvision's MobileNet v2 1.0 for (batch, 3, 224, 224)."""
    return torchvision.models.mobilenet_v2(weights=None, num_classes=num_classes, dropout=dropout)


def small(num_classes: int, *, dropout: float = 0.2) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; 16 px end at 2x2."""
    network = torchvision.models.MobileNetV2(
        num_classes=num_classes,
        width_mult=SMALL_WIDTH,
        inverted_residual_setting=SMALL_STAGES,
        dropout=dropout,
    )
    network.features[0][0].stride = (1, 1)
    return network
