"""ShuffleNet v2: units that split the channels, transform one half and shuffle.

Ma, Zhang, Zheng, Sun 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design" (arXiv 1807.11164), table 5, at widths 1x and 1.5x.

Small form, departures from the ImageNet form:
- first convolution with stride 1 (2), no pool after it;
- stages of 48, 96, 192 channels for 1x (116, 232, 464) and 72, 144, 288 for 1.5x (176, 352,
  704), so 1.5x is exactly that; last convolution 512 (1024); the stem keeps its 24.
"""

from __future__ import annotations

import torchvision
from torch import nn

STAGE_UNITS = [4, 8, 4]  # table 5
# width -> channels of stem, three stages, last convolution
SMALL_CHANNELS = {"x1_0": [24, 48, 96, 192, 512], "x1_5": [24, 72, 144, 288, 512]}


def imagenet(width: str, num_classes: int) -> nn.Module:
    """torchvision's ShuffleNet v2 of ``width`` x1_0 or x1_5 for (batch, 3, 224, 224)."""
    builders = {
        "x1_0": torchvision.models.shufflenet_v2_x1_0,
        "x1_5": torchvision.models.shufflenet_v2_x1_5,
    }
    return builders[width](weights=None, num_classes=num_classes)


def small(width: str, num_classes: int) -> nn.Module:
    """The small form of ``width`` x1_0 or x1_5 for (batch, 3, s, s); 16 px end at 2x2."""
    network = torchvision.models.ShuffleNetV2(
        STAGE_UNITS, SMALL_CHANNELS[width], num_classes=num_classes
    )
    network.conv1[0].stride = (1, 1)
    network.maxpool = nn.Identity()
    return network
