"""EfficientNet-B0: inverted residuals with squeeze-and-excitation and swish.

Tan, Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(arXiv 1905.11946), table 1, which is B0.

Small form (models/small_form.py), departures from the ImageNet form:
- the first two of the five strides of 2 are 1 (stem, and the stage of 24 channels);
- the classifier starts from N(0, 0.01), as MobileNet v2's does: the rule of the ImageNet form,
  uniform within 1 / sqrt(classes), gives logits far too large for ten classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torchvision
from torch import nn
from torchvision.models.efficientnet import MBConvConfig

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

# table 1: channels of the stem, of each stage, and of the last convolution
CHANNELS = (32, 16, 24, 40, 80, 112, 192, 320, 1280)
# (expansion, kernel, stride, blocks) of each stage: table 1 with the second stage at stride 1
SMALL_STAGES = (
    (1, 3, 1, 1),
    (6, 3, 1, 2),
    (6, 5, 2, 2),
    (6, 3, 2, 3),
    (6, 5, 1, 3),
    (6, 5, 2, 4),
    (6, 3, 1, 1),
)
SMALL_CLASSIFIER_STD = 0.01  # torchvision's MobileNet v2


def imagenet(
    num_classes: int,
    *,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    batch_norm_momentum: float = 0.1,
) -> nn.Module:
    """torchvision's EfficientNet-B0 for (batch, 3, 224, 224).

    ``stochastic_depth`` is the drop probability of the last block, rising linearly from 0.
    ``batch_norm_momentum`` is torch's, the weight of the new batch: the paper's 0.99 is 0.01.
    """
    return torchvision.models.efficientnet_b0(
        weights=None,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth,
        norm_layer=partial(nn.BatchNorm2d, momentum=batch_norm_momentum),
    )


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form; a squeeze has a quarter of the channels that its block reads."""
    channels, *stages, last = widths
    side = 32
    macs = conv(3, channels, 3, side)
    for out, (expansion, kernel, stride, blocks) in zip(stages, SMALL_STAGES, strict=True):
        for block in range(blocks):
            inner = channels * expansion
            macs += conv(channels, inner, 1, side) if expansion > 1 else 0
            side //= stride if block == 0 else 1
            macs += conv(inner, inner, kernel, side, groups=inner)
            macs += 2 * inner * max(1, channels // 4) + conv(inner, out, 1, side)
            channels = out
    return macs + conv(channels, last, 1, side) + last * CLASSES


SHAPE = Shape(385_814_752, rounded(CHANNELS), small_macs)


class _AnyWidth(MBConvConfig):
    """A stage whose widths are used as they are, not rounded to multiples of 8."""

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        return round(channels * width_mult)


def small(
    num_classes: int,
    widths: Sequence[int],
    *,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    batch_norm_momentum: float = 0.1,
) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    *stages, last = widths
    network = torchvision.models.EfficientNet(
        [
            _AnyWidth(expansion, kernel, stride, channels_in, channels_out, blocks)
            for (channels_in, channels_out), (expansion, kernel, stride, blocks) in zip(
                pairwise(stages), SMALL_STAGES, strict=True
            )
        ],
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
        norm_layer=partial(nn.BatchNorm2d, momentum=batch_norm_momentum),
        last_channel=last,
    )
    network.features[0][0].stride = (1, 1)
    nn.init.normal_(network.classifier[1].weight, std=SMALL_CLASSIFIER_STD)
    return network
