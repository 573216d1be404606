"""EfficientNet-B0: inverted residuals with squeeze-and-excitation and swish.

Tan, Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(arXiv 1905.11946), table 1, which is B0.

Small form, departures from the ImageNet form:
- the first and the last of the five strides of 2 are 1 (stem, and the stage of 192 channels);
- channels x 0.25, rounded to multiples of 8 by the paper's own rule; the last convolution
  keeps four times the last stage's channels (320 instead of 1280);
- the classifier starts from N(0, 0.01), as MobileNet v2's does: the rule of the ImageNet form,
  uniform within 1 / sqrt(classes), gives logits far too large for ten classes.
"""

from __future__ import annotations

from functools import partial

import torchvision
from torch import nn
from torchvision.models.efficientnet import MBConvConfig

# (expansion, kernel, stride, channels in, channels out, blocks): table 1 with the last stride 1
SMALL_STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 1, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
SMALL_WIDTH = 0.25
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


def small(
    num_classes: int,
    *,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
    batch_norm_momentum: float = 0.1,
) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; 16 px end at 2x2."""
    network = torchvision.models.EfficientNet(
        [MBConvConfig(*stage, width_mult=SMALL_WIDTH) for stage in SMALL_STAGES],
        dropout=dropout,
        stochastic_depth_prob=stochastic_depth,
        num_classes=num_classes,
        norm_layer=partial(nn.BatchNorm2d, momentum=batch_norm_momentum),
    )
    network.features[0][0].stride = (1, 1)
    nn.init.normal_(network.classifier[1].weight, std=SMALL_CLASSIFIER_STD)
    return network
