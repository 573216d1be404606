"""ConvNeXt-T: depthwise 7x7 convolutions between layer norms, inverted bottlenecks and GELU.

Liu et al. 2022, "A ConvNet for the 2020s" (arXiv 2201.03545), section 3, at size T.

Small form (models/small_form.py), departures from the ImageNet form:
- patches of one pixel (4x4 px);
- the stem's bias is drawn as its weights (zero).  With patches of one pixel and no bias, a pixel of
  the random crop's border is a zero vector, whose gradient every layer norm on its way multiplies
  by 1 / sqrt(1e-6) = 1000; the border then decides the steps, and SGD left chance at none of six
  rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torchvision
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

DEPTHS = (3, 3, 9, 3)
CHANNELS = (96, 192, 384, 768)
EXPANSION = 4
SMALL_SIDES_PX = (32, 16, 8, 4)  # of each stage's maps


def imagenet(num_classes: int, *, stochastic_depth: float = 0.1) -> nn.Module:
    """torchvision's ConvNeXt-T for (batch, 3, 224, 224).

    ``stochastic_depth`` is the drop probability of the last block, rising linearly from 0.
    """
    return torchvision.models.convnext_tiny(
        weights=None, num_classes=num_classes, stochastic_depth_prob=stochastic_depth
    )


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    macs = conv(3, widths[0], 1, 32)
    for channels, blocks, side in zip(widths, DEPTHS, SMALL_SIDES_PX, strict=True):
        block = conv(channels, channels, 7, side, groups=channels)
        block += 2 * conv(channels, EXPANSION * channels, 1, side)
        macs += blocks * block
    for (channels, following), side in zip(pairwise(widths), SMALL_SIDES_PX[1:], strict=True):
        macs += conv(channels, following, 2, side)
    return macs + widths[-1] * CLASSES


SHAPE = Shape(4_455_531_264, rounded(CHANNELS), small_macs)


def small(num_classes: int, widths: Sequence[int], *, stochastic_depth: float = 0.1) -> nn.Module:
    """The small form for (batch, 3, s, s), s from 8 px on."""
    following = (*widths[1:], None)
    network = ConvNeXt(
        [
            CNBlockConfig(channels, channels_next, blocks)
            for channels, channels_next, blocks in zip(widths, following, DEPTHS, strict=True)
        ],
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
    )
    stem = nn.Conv2d(3, widths[0], kernel_size=1)
    assert stem.bias is not None
    for drawn in (stem.weight, stem.bias):
        nn.init.trunc_normal_(drawn, std=0.02)  # as the weights of the other layers
    network.features[0][0] = stem
    return network
