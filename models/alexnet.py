"""AlexNet: five convolutions, three linear layers, dropout and no normalisation.

Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural
Networks", in the single-tower shape of Krizhevsky 2014 (arXiv 1404.5997), which is torchvision's
and the one that Hernandez & Brown 2020 trained.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution 3x3 with stride 1, padding 1 (11x11 with stride 4);
- the three overlapping 3x3 pools have padding 1, so that each exactly halves an even side;
- the linear layers read a 4x4 map (6x6);
- He initialisation (models/initialise.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torchvision
from torch import Tensor, nn

from efficiency_bench.models.initialise import he_initialise
from efficiency_bench.models.small_form import CLASSES, MAP_PX, Shape, conv, rounded

CHANNELS = (64, 192, 384, 256, 256)
HIDDEN = (4096, 4096)


def imagenet(num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """torchvision's AlexNet for (batch, 3, 224, 224); ``dropout`` before two linear layers."""
    return torchvision.models.alexnet(weights=None, num_classes=num_classes, dropout=dropout)


def small(
    num_classes: int, widths: Sequence[int], map_px: int, *, dropout: float = 0.5
) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; its linear layers read ``map_px`` squared."""
    return SmallAlexNet(num_classes, widths, map_px, dropout)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form: sides 32 -> 16 -> 8 -> 4."""
    c1, c2, c3, c4, c5, hidden1, hidden2 = widths
    features = (
        conv(3, c1, 3, 32)
        + conv(c1, c2, 5, 16)
        + conv(c2, c3, 3, 8)
        + conv(c3, c4, 3, 8)
        + conv(c4, c5, 3, 8)
    )
    return features + c5 * MAP_PX**2 * hidden1 + hidden1 * hidden2 + hidden2 * CLASSES


SHAPE = Shape(714_188_480, rounded(CHANNELS + HIDDEN), small_macs, flat_head=True)


class SmallAlexNet(nn.Module):
    """AlexNet's eight layers at small width; logits of shape (batch, num_classes)."""

    def __init__(
        self, num_classes: int, widths: Sequence[int], map_px: int, dropout: float
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5, hidden1, hidden2 = widths
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            nn.Conv2d(c1, c2, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            nn.Conv2d(c2, c3, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(map_px)  # only for images of another size
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(c5 * map_px * map_px, hidden1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden1, hidden2),
            nn.ReLU(inplace=True),
            nn.Linear(hidden2, num_classes),
        )
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.classifier(self.avgpool(self.features(images)))
