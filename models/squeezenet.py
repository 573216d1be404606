"""SqueezeNet 1.1: fire modules, which squeeze with 1x1 before they expand, and no linear layer.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
model size" (arXiv 1602.07360); version 1.1 is the authors' later release, with 2.4 times less
compute, in torchvision's form.

Small form, departures from the ImageNet form:
- first convolution with stride 1 and padding 1 (stride 2, no padding), no pool after it;
- channels x 1/2 everywhere;
- the last convolution, which feeds a rectifier too, has He initialisation like the others: with
  N(0, 0.01) the rectified logits of ten classes die together and the loss stays at chance.
"""

from __future__ import annotations

import torchvision
from torch import nn
from torchvision.models.squeezenet import Fire

# Fire modules of the three stages as (squeeze, expand) channels; each expand comes twice
STAGES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)
STEM_CHANNELS = 64
DIVISOR = 2  # small form: channels of the paper divided by it


def imagenet(num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """torchvision's SqueezeNet 1.1 for (batch, 3, 224, 224)."""
    return torchvision.models.squeezenet1_1(weights=None, num_classes=num_classes, dropout=dropout)


def small(num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """The small form for (batch, 3, s, s), s from 4 px on; 16 px end at 4x4."""
    channels = STEM_CHANNELS // DIVISOR
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
    ]
    for stage, fires in enumerate(STAGES):
        if stage > 0:
            layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
        for squeeze, expand in fires:
            squeezed, expanded = squeeze // DIVISOR, expand // DIVISOR
            layers.append(Fire(channels, squeezed, expanded, expanded))
            channels = 2 * expanded
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
