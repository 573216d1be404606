"""ConvNeXt-T: depthwise 7x7 convolutions between layer norms, inverted bottlenecks and GELU.

Liu et al. 2022, "A ConvNet for the 2020s" (arXiv 2201.03545), section 3, at size T.

Small form, departures from the ImageNet form:
- patches of 2x2 px (4x4);
- channels x 1/4: 24, 48, 96, 192 (96, 192, 384, 768).
"""

from __future__ import annotations

import torchvision
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

DEPTHS = (3, 3, 9, 3)
SMALL_CHANNELS = (24, 48, 96, 192)
SMALL_PATCH_PX = 2


def imagenet(num_classes: int, *, stochastic_depth: float = 0.1) -> nn.Module:
    """torchvision's ConvNeXt-T for (batch, 3, 224, 224).

    ``stochastic_depth`` is the drop probability of the last block, rising linearly from 0.
    """
    return torchvision.models.convnext_tiny(
        weights=None, num_classes=num_classes, stochastic_depth_prob=stochastic_depth
    )


def small(num_classes: int, *, stochastic_depth: float = 0.1) -> nn.Module:
    """The small form for (batch, 3, s, s), s from 16 px on; 16 px end at 1x1."""
    following = (*SMALL_CHANNELS[1:], None)
    network = ConvNeXt(
        [
            CNBlockConfig(channels, channels_next, blocks)
            for channels, channels_next, blocks in zip(
                SMALL_CHANNELS, following, DEPTHS, strict=True
            )
        ],
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
    )
    stem = nn.Conv2d(3, SMALL_CHANNELS[0], kernel_size=SMALL_PATCH_PX, stride=SMALL_PATCH_PX)
    nn.init.trunc_normal_(stem.weight, std=0.02)  # as the other layers
    assert stem.bias is not None
    nn.init.zeros_(stem.bias)
    network.features[0][0] = stem
    return network
