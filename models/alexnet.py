"""AlexNet: five convolutions, three linear layers, dropout and no normalisation.

Krizhevsky, Sutskever, Hinton 2012, "ImageNet Classification with Deep Convolutional Neural
Networks", in the single-tower shape of Krizhevsky 2014 (arXiv 1404.5997), which is torchvision's
and the one that Hernandez & Brown 2020 trained.

Small form, departures from the ImageNet form:
- first convolution 5x5 with stride 1, padding 2 (11x11 with stride 4);
- the three overlapping 3x3 pools have padding 1, so that each exactly halves an even side;
- channels x 3/8: 24, 72, 144, 96, 96; linear layers of 512 (4096) on a 2x2 map (6x6);
- He initialisation (models/initialise.py).
"""

from __future__ import annotations

import torchvision
from torch import Tensor, nn

from efficiency_bench.models.initialise import he_initialise

CHANNELS = (24, 72, 144, 96, 96)  # 3/8 of 64, 192, 384, 256, 256
HIDDEN = 512  # 4096 / 8
MAP_PX = 2  # side of the map that the linear layers read


def imagenet(num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """torchvision's AlexNet for (batch, 3, 224, 224); ``dropout`` before two linear layers."""
    return torchvision.models.alexnet(weights=None, num_classes=num_classes, dropout=dropout)


def small(num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    return SmallAlexNet(num_classes, dropout)


class SmallAlexNet(nn.Module):
    """AlexNet's eight layers at small width; logits of shape (batch, num_classes)."""

    def __init__(self, num_classes: int, dropout: float) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, kernel_size=5, padding=2),
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
        self.avgpool = nn.AdaptiveAvgPool2d(MAP_PX)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(c5 * MAP_PX * MAP_PX, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN, num_classes),
        )
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.classifier(self.avgpool(self.features(images)))
