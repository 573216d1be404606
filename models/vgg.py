"""VGG: stacks of 3x3 convolutions between pools, three linear layers, no normalisation.

Simonyan, Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition"
(arXiv 1409.1556): VGG-11 is column A of its table 1, VGG-16 column D.

Small form (models/small_form.py), departures from the ImageNet form:
- no pool after the first two stacks;
- the linear layers read a 4x4 map (7x7);
- He initialisation (models/initialise.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torchvision
from torch import Tensor, nn

from efficiency_bench.models.initialise import he_initialise
from efficiency_bench.models.small_form import CLASSES, MAP_PX, Shape, conv, rounded

DEPTHS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)}  # convolutions in each stack, table 1
CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = (4096, 4096)
SMALL_SIDES_PX = (32, 32, 32, 16, 8)  # of the maps in each stack


def imagenet(depth: int, num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """torchvision's VGG of ``depth`` 11 or 16 layers for (batch, 3, 224, 224)."""
    builder = {11: torchvision.models.vgg11, 16: torchvision.models.vgg16}[depth]
    return builder(weights=None, num_classes=num_classes, dropout=dropout)


def small(
    depth: int, num_classes: int, widths: Sequence[int], map_px: int, *, dropout: float = 0.5
) -> nn.Module:
    """The small form of ``depth`` 11 or 16 layers for (batch, 3, s, s), s from 8 px on.

    Its linear layers read ``map_px`` squared.
    """
    return SmallVGG(DEPTHS[depth], num_classes, widths, map_px, dropout)


def small_macs(depth: int, widths: Sequence[int]) -> int:
    """F of the small form: sides 32 -> 16 -> 8 -> 4."""
    *stacks, hidden1, hidden2 = widths
    macs, channels_in = 0, 3
    for repeats, channels, side in zip(DEPTHS[depth], stacks, SMALL_SIDES_PX, strict=True):
        macs += conv(channels_in, channels, 3, side)
        macs += (repeats - 1) * conv(channels, channels, 3, side)
        channels_in = channels
    return macs + channels_in * MAP_PX**2 * hidden1 + hidden1 * hidden2 + hidden2 * CLASSES


SHAPES = {
    depth: Shape(macs, rounded(CHANNELS + HIDDEN), partial(small_macs, depth), flat_head=True)
    for depth, macs in ((11, 7_609_090_048), (16, 15_470_264_320))
}


class SmallVGG(nn.Module):
    """VGG's stacks at small width; logits of shape (batch, num_classes)."""

    def __init__(
        self,
        depths: tuple[int, ...],
        num_classes: int,
        widths: Sequence[int],
        map_px: int,
        dropout: float,
    ) -> None:
        super().__init__()
        *stacks, hidden1, hidden2 = widths
        layers: list[nn.Module] = []
        channels_in = 3
        for stack, (repeats, channels) in enumerate(zip(depths, stacks, strict=True)):
            for _ in range(repeats):
                layers.append(nn.Conv2d(channels_in, channels, kernel_size=3, padding=1))
                layers.append(nn.ReLU(inplace=True))
                channels_in = channels
            if stack > 1:
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(map_px)  # only for images of another size
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels_in * map_px * map_px, hidden1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden1, hidden2),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden2, num_classes),
        )
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.classifier(self.avgpool(self.features(images)))
