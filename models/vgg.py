"""VGG: stacks of 3x3 convolutions between pools, three linear layers, no normalisation.

Simonyan, Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition"
(arXiv 1409.1556): VGG-11 is column A of its table 1, VGG-16 column D.

Small form, departures from the ImageNet form:
- no pool after the first stack, so four of the five remain and 16 px still end at 1x1;
- channels x 1/4: 16, 32, 64, 128, 128;
- linear layers of 512 (4096) on a 1x1 map (7x7), reached by adaptive average pooling;
- He initialisation (models/initialise.py).
"""

from __future__ import annotations

import torchvision
from torch import Tensor, nn

from efficiency_bench.models.initialise import he_initialise

DEPTHS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3)}  # convolutions in each stack, table 1
CHANNELS = (16, 32, 64, 128, 128)  # a quarter of 64, 128, 256, 512, 512
HIDDEN = 512  # 4096 / 8


def imagenet(depth: int, num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """torchvision's VGG of ``depth`` 11 or 16 layers for (batch, 3, 224, 224)."""
    builder = {11: torchvision.models.vgg11, 16: torchvision.models.vgg16}[depth]
    return builder(weights=None, num_classes=num_classes, dropout=dropout)


def small(depth: int, num_classes: int, *, dropout: float = 0.5) -> nn.Module:
    """The small form of ``depth`` 11 or 16 layers for (batch, 3, s, s), s from 16 px on."""
    return SmallVGG(DEPTHS[depth], num_classes, dropout)


class SmallVGG(nn.Module):
    """VGG's stacks at small width; logits of shape (batch, num_classes)."""

    def __init__(self, depths: tuple[int, ...], num_classes: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in = 3
        for stack, (repeats, channels) in enumerate(zip(depths, CHANNELS, strict=True)):
            for _ in range(repeats):
                layers.append(nn.Conv2d(channels_in, channels, kernel_size=3, padding=1))
                layers.append(nn.ReLU(inplace=True))
                channels_in = channels
            if stack > 0:
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels_in, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, num_classes),
        )
        he_initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.classifier(self.avgpool(self.features(images)))
