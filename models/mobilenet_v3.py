"""MobileNet v3 Small: searched inverted residuals, squeeze-and-excitation and hard swish.

Howard et al. 2019, "Searching for MobileNetV3" (arXiv 1905.02244), table 2.

Small form, departures from the ImageNet form:
- the first and the last of the five strides of 2 are 1 (stem, and the stage of 96 channels);
- channels x 0.75, rounded to multiples of 8 by the paper's own rule, also of the layer before the
  classifier (768 instead of 1024); the last convolution keeps six times the last stage's channels.
"""

from __future__ import annotations

from functools import partial

import torchvision
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

# (channels in, kernel, expanded, channels out, squeeze, activation, stride): table 2 with the
# last stride 1
SMALL_ROWS = (
    (16, 3, 16, 16, True, "RE", 2),
    (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1),
    (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
)
SMALL_WIDTH = 0.75
SMALL_HIDDEN = 768  # 1024 x 0.75
EPSILON = 1e-3  # of batch norm: torchvision's, from the paper's released code


def imagenet(
    num_classes: int, *, dropout: float = 0.2, batch_norm_momentum: float = 0.1
) -> nn.Module:
    """torchvision's MobileNet v3 Small 1.0 for (batch, 3, 224, 224); ``dropout`` before the
    classifier.

    ``batch_norm_momentum`` is torch's, the weight of the new batch: the paper's 0.99 is 0.01.
    """
    return torchvision.models.mobilenet_v3_small(
        weights=None,
        num_classes=num_classes,
        dropout=dropout,
        norm_layer=_batch_norm(batch_norm_momentum),
    )


def small(num_classes: int, *, dropout: float = 0.2, batch_norm_momentum: float = 0.1) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; 16 px end at 2x2."""
    network = MobileNetV3(
        [InvertedResidualConfig(*row, dilation=1, width_mult=SMALL_WIDTH) for row in SMALL_ROWS],
        SMALL_HIDDEN,
        num_classes=num_classes,
        dropout=dropout,
        norm_layer=_batch_norm(batch_norm_momentum),
    )
    network.features[0][0].stride = (1, 1)
    return network


def _batch_norm(momentum: float) -> partial[nn.BatchNorm2d]:
    return partial(nn.BatchNorm2d, eps=EPSILON, momentum=momentum)
