"""DenseNet-121: four dense blocks, in which each layer reads all the maps before it.

Huang, Liu, van der Maaten, Weinberger 2016, "Densely Connected Convolutional Networks"
(arXiv 1608.06993), table 1.

Small form, departures from the ImageNet form:
- first convolution 3x3 with stride 1 (7x7 with stride 2); the pool after it is kept;
- growth rate 12 (32), the paper's for CIFAR; 24 channels in the stem (64), twice the growth;
  the blocks keep their 6, 12, 24 and 16 layers.
"""

from __future__ import annotations

import torchvision
from torch import nn

BLOCKS = (6, 12, 24, 16)  # layers in each dense block, DenseNet-121 of table 1
GROWTH = 12  # small form: channels that a layer adds
STEM_CHANNELS = 2 * GROWTH


def imagenet(num_classes: int, *, dropout: float = 0.0) -> nn.Module:
    """torchvision's DenseNet-121 for (batch, 3, 224, 224); ``dropout`` after each layer."""
    return torchvision.models.densenet121(weights=None, num_classes=num_classes, drop_rate=dropout)


def small(num_classes: int, *, dropout: float = 0.0) -> nn.Module:
    """The small form for (batch, 3, s, s), s from 15 px on."""
    network = torchvision.models.DenseNet(
        growth_rate=GROWTH,
        block_config=BLOCKS,
        num_init_features=STEM_CHANNELS,
        drop_rate=dropout,
        num_classes=num_classes,
    )
    stem = nn.Conv2d(3, STEM_CHANNELS, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight)
    network.features.conv0 = stem
    return network
