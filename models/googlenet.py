"""GoogLeNet: nine inception modules, with two auxiliary classifiers while training.

Szegedy et al. 2014, "Going Deeper with Convolutions" (arXiv 1409.4842), table 1, in
torchvision's version: batch norm after each convolution, and 3x3 where the paper's third branch
has 5x5.  In train mode the networks return ``GoogLeNetOutputs(logits, aux_logits2,
aux_logits1)``, in eval mode the logits alone.

Small form, departures from the ImageNet form:
- first convolution 3x3 with stride 1 (7x7 with stride 2), no pool after it;
- channels x 1/4 everywhere;
- the pools have padding 1 (ceil mode), so that each exactly halves an even side;
- auxiliary heads: a quarter of the width (32 channels, 256 hidden), and pooled to 4x4
  adaptively, as torchvision does, where the paper has a 5x5 average pool with stride 3.
"""

from __future__ import annotations

import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNetOutputs, Inception

# Table 1, columns #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
DIVISOR = 4  # small form: channels of the paper divided by it
AUXILIARY_MAP_PX = 4  # side of the map that an auxiliary head reads


def imagenet(
    num_classes: int, *, dropout: float = 0.4, auxiliary_dropout: float = 0.7
) -> nn.Module:
    """torchvision's GoogLeNet for (batch, 3, 224, 224), with both auxiliary heads.

    ``dropout`` before the classifier and ``auxiliary_dropout`` in the heads default to the
    paper's section 5.
    """
    return torchvision.models.googlenet(
        weights=None,
        num_classes=num_classes,
        aux_logits=True,
        transform_input=False,
        init_weights=True,
        dropout=dropout,
        dropout_aux=auxiliary_dropout,
    )


def small(num_classes: int, *, dropout: float = 0.4, auxiliary_dropout: float = 0.7) -> nn.Module:
    """The small form for (batch, 3, s, s), with both auxiliary heads."""
    return SmallGoogLeNet(num_classes, dropout, auxiliary_dropout)


def _inception(name: str, channels_in: int) -> tuple[Inception, int]:
    """The module of that name at small width, and the channels it gives."""
    widths = [width // DIVISOR for width in INCEPTIONS[name]]
    one, _, three, _, five, pooled = widths
    return Inception(channels_in, *widths), one + three + five + pooled


def _stage(names: tuple[str, ...], channels: int) -> tuple[nn.Sequential, int]:
    """Inception modules in a row, and the channels that the last gives."""
    modules: list[nn.Module] = []
    for name in names:
        module, channels = _inception(name, channels)
        modules.append(module)
    return nn.Sequential(*modules), channels


class AuxiliaryHead(nn.Module):
    """A classifier on a middle map, which trains the lower layers; logits (batch, classes)."""

    def __init__(self, channels_in: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        channels, hidden = 128 // DIVISOR, 1024 // DIVISOR
        self.conv = BasicConv2d(channels_in, channels, kernel_size=1)
        self.fc1 = nn.Linear(channels * AUXILIARY_MAP_PX * AUXILIARY_MAP_PX, hidden)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (batch, num_classes) of a map (batch, channels_in, s, s)."""
        pooled = self.conv(F.adaptive_avg_pool2d(features, AUXILIARY_MAP_PX))
        return self.fc2(self.dropout(F.relu(self.fc1(pooled.flatten(1)))))


class SmallGoogLeNet(nn.Module):
    """GoogLeNet's stages at a quarter of the width, cut where the auxiliary heads read."""

    def __init__(self, num_classes: int, dropout: float, auxiliary_dropout: float) -> None:
        super().__init__()
        first, third = 64 // DIVISOR, 192 // DIVISOR
        self.stem = nn.Sequential(
            BasicConv2d(3, first, kernel_size=3, padding=1),
            BasicConv2d(first, first, kernel_size=1),
            BasicConv2d(first, third, kernel_size=3, padding=1),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stage3, channels = _stage(("3a", "3b"), third)
        self.pool3 = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage4a, channels = _stage(("4a",), channels)
        self.aux1 = AuxiliaryHead(channels, num_classes, auxiliary_dropout)
        self.stage4bcd, channels = _stage(("4b", "4c", "4d"), channels)
        self.aux2 = AuxiliaryHead(channels, num_classes, auxiliary_dropout)
        self.stage4e, channels = _stage(("4e",), channels)
        self.pool4 = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage5, channels = _stage(("5a", "5b"), channels)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor | GoogLeNetOutputs:
        """Logits (batch, num_classes); in train mode with those of both auxiliary heads."""
        map4a = self.stage4a(self.pool3(self.stage3(self.stem(images))))
        map4d = self.stage4bcd(map4a)
        map5 = self.stage5(self.pool4(self.stage4e(map4d)))
        pooled = F.adaptive_avg_pool2d(map5, 1).flatten(1)
        logits = self.fc(self.dropout(pooled))
        if not self.training:
            return logits
        return GoogLeNetOutputs(logits, self.aux2(map4d), self.aux1(map4a))
