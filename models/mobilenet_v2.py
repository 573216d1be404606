"""MobileNet v2: inverted residuals with linear bottlenecks.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(arXiv 1801.04381), table 2.

Small form (models/small_form.py), departures from the ImageNet form:
- the first two of the five strides of 2 are 1 (stem, and the stage of 24 channels).
"""

from __future__ import annotations

from collections.abc import Sequence

import torchvision
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.ops.misc import Conv2dNormActivation

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

# table 2: channels of the stem, of each stage, and of the last convolution
CHANNELS = (32, 16, 24, 32, 64, 96, 160, 320, 1280)
# (expansion, blocks, stride) of each stage: table 2 with the stage of 24 channels at stride 1
SMALL_STAGES = (
    (1, 1, 1),
    (6, 2, 1),
    (6, 3, 2),
    (6, 4, 2),
    (6, 3, 1),
    (6, 3, 2),
    (6, 1, 1),
)


def imagenet(num_classes: int, *, dropout: float = 0.2) -> nn.Module:
    """torchvision's MobileNet v2 1.0 for (batch, 3, 224, 224)."""
    return torchvision.models.mobilenet_v2(weights=None, num_classes=num_classes, dropout=dropout)


def small(num_classes: int, widths: Sequence[int], *, dropout: float = 0.2) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    return SmallMobileNetV2(num_classes, widths, dropout)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    channels, *stages, last = widths
    side = 32
    macs = conv(3, channels, 3, side)
    for out, (expansion, blocks, stride) in zip(stages, SMALL_STAGES, strict=True):
        for block in range(blocks):
            inner = channels * expansion
            macs += conv(channels, inner, 1, side) if expansion > 1 else 0
            side //= stride if block == 0 else 1
            macs += conv(inner, inner, 3, side, groups=inner) + conv(inner, out, 1, side)
            channels = out
    return macs + conv(channels, last, 1, side) + last * CLASSES


SHAPE = Shape(300_774_272, rounded(CHANNELS), small_macs)


class SmallMobileNetV2(nn.Module):
    """torchvision's inverted residuals between a stem and a last 1x1 convolution.

    ``widths`` are those of ``CHANNELS``.
    """

    def __init__(self, num_classes: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        channels, *stages, last = widths
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, channels, kernel_size=3, activation_layer=nn.ReLU6)
        ]
        for out, (expansion, blocks, stride) in zip(stages, SMALL_STAGES, strict=True):
            for block in range(blocks):
                first = block == 0
                layers.append(InvertedResidual(channels, out, stride if first else 1, expansion))
                channels = out
        layers.append(
            Conv2dNormActivation(channels, last, kernel_size=1, activation_layer=nn.ReLU6)
        )
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.classifier(self.avgpool(self.features(images)).flatten(1))
