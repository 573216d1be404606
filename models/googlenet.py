"""GoogLeNet: nine inception modules, with two auxiliary classifiers while training.

Szegedy et al. 2014, "Going Deeper with Convolutions" (arXiv 1409.4842), table 1, in
torchvision's version: batch norm after each convolution, and 3x3 where the paper's third branch
has 5x5.  In train mode the networks return ``GoogLeNetOutputs(logits, aux_logits2,
aux_logits1)``, in eval mode the logits alone.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution 3x3 with stride 1 (7x7 with stride 2), no pool after it.
Its auxiliary heads are pooled to 4x4, as torchvision's are; the paper has a 5x5 average pool with
stride 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models.googlenet import BasicConv2d, GoogLeNetOutputs, Inception

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

STEM = (64, 64, 192)
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
AUXILIARY = (128, 1024)  # convolution and hidden layer of both heads
AUXILIARY_MAP_PX = 4  # side of the map that an auxiliary head reads
SMALL_SIDES_PX = {"3": 16, "4": 8, "5": 4}  # of the maps in each stage


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


def small(
    num_classes: int,
    widths: Sequence[int],
    *,
    dropout: float = 0.4,
    auxiliary_dropout: float = 0.7,
) -> nn.Module:
    """The small form for (batch, 3, s, s), with both auxiliary heads."""
    return SmallGoogLeNet(num_classes, widths, dropout, auxiliary_dropout)


def _by_name(widths: Sequence[int]) -> dict[str, Sequence[int]]:
    """The widths of each inception module."""
    starts = range(len(STEM), len(widths) - len(AUXILIARY), 6)
    return {name: widths[start : start + 6] for name, start in zip(INCEPTIONS, starts, strict=True)}


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form in train mode, both auxiliary heads included."""
    first, second, channels = widths[:3]
    macs = conv(3, first, 3, 32) + conv(first, second, 1, 32) + conv(second, channels, 3, 32)
    head, hidden = widths[-2:]
    for name, (one, reduce3, three, reduce5, five, pooled) in _by_name(widths).items():
        side = SMALL_SIDES_PX[name[0]]
        macs += conv(channels, one + reduce3 + reduce5 + pooled, 1, side)
        macs += conv(reduce3, three, 3, side) + conv(reduce5, five, 3, side)
        channels = one + three + five + pooled
        if name in ("4a", "4d"):
            macs += conv(channels, head, 1, AUXILIARY_MAP_PX)
            macs += head * AUXILIARY_MAP_PX**2 * hidden + hidden * CLASSES
    return macs + channels * CLASSES


SHAPE = Shape(
    1_506_748_416,
    rounded([*STEM, *(width for module in INCEPTIONS.values() for width in module), *AUXILIARY]),
    small_macs,
)


class AuxiliaryHead(nn.Module):
    """A classifier on a middle map, which trains the lower layers; logits (batch, classes)."""

    def __init__(
        self, channels_in: int, channels: int, hidden: int, num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.conv = BasicConv2d(channels_in, channels, kernel_size=1)
        self.fc1 = nn.Linear(channels * AUXILIARY_MAP_PX * AUXILIARY_MAP_PX, hidden)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (batch, num_classes) of a map (batch, channels_in, s, s)."""
        pooled = self.conv(F.adaptive_avg_pool2d(features, AUXILIARY_MAP_PX))
        return self.fc2(self.dropout(F.relu(self.fc1(pooled.flatten(1)))))


class SmallGoogLeNet(nn.Module):
    """GoogLeNet's stages at small width, cut where the auxiliary heads read."""

    def __init__(
        self, num_classes: int, widths: Sequence[int], dropout: float, auxiliary_dropout: float
    ) -> None:
        super().__init__()
        first, second, channels = widths[:3]
        hidden_widths = widths[-2], widths[-1]
        modules, heads = {}, {}
        for name, (one, reduce3, three, reduce5, five, pooled) in _by_name(widths).items():
            modules[name] = Inception(channels, one, reduce3, three, reduce5, five, pooled)
            channels = one + three + five + pooled
            if name in ("4a", "4d"):
                heads[name] = AuxiliaryHead(
                    channels, *hidden_widths, num_classes, auxiliary_dropout
                )
        self.stem = nn.Sequential(
            BasicConv2d(3, first, kernel_size=3, padding=1),
            BasicConv2d(first, second, kernel_size=1),
            BasicConv2d(second, widths[2], kernel_size=3, padding=1),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
        )
        self.stage3 = nn.Sequential(modules["3a"], modules["3b"])
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.stage4a = modules["4a"]
        self.aux1, self.aux2 = heads["4a"], heads["4d"]
        self.stage4bcd = nn.Sequential(modules["4b"], modules["4c"], modules["4d"])
        self.stage4e = modules["4e"]
        self.pool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.stage5 = nn.Sequential(modules["5a"], modules["5b"])
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
