"""ResNet: stages of residual blocks, plain (18, 34 layers) or with bottlenecks (50).

He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385),
table 1, in torchvision's version, whose bottleneck strides in its 3x3 convolution.

Small form (models/small_form.py), departures from the ImageNet form:
- first convolution 3x3 with stride 1 (7x7 with stride 2), no pool after it, as in the paper's
  own CIFAR-10 networks (section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from efficiency_bench.models.pointwise import StridedPointwise
from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

# depth -> block, blocks in each stage (table 1)
STAGES: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}
WIDTHS = (64, 128, 256, 512)  # of each stage; the stem has the first
SMALL_SIDES_PX = (32, 16, 8, 4)  # of each stage's maps


def imagenet(depth: int, num_classes: int) -> nn.Module:
    """torchvision's ResNet of ``depth`` 18, 34 or 50 layers for (batch, 3, 224, 224)."""
    builders = {
        18: torchvision.models.resnet18,
        34: torchvision.models.resnet34,
        50: torchvision.models.resnet50,
    }
    return builders[depth](weights=None, num_classes=num_classes)


def small(depth: int, num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form of ``depth`` 18, 34 or 50 layers for (batch, 3, s, s), any s."""
    block, repeats = STAGES[depth]
    return SmallResNet(block, repeats, widths, num_classes)


def small_macs(
    depth: int, widths: Sequence[int], *, groups: int = 1, width_per_group: int = 64
) -> int:
    """F of the small form; ``groups`` and ``width_per_group`` as in ``SmallResNet``."""
    block, repeats = STAGES[depth]
    channels, side_in = widths[0], SMALL_SIDES_PX[0]
    macs = conv(3, channels, 3, side_in)
    for planes, blocks, side in zip(widths, repeats, SMALL_SIDES_PX, strict=True):
        out = planes * block.expansion
        inner = planes * width_per_group // 64 * groups
        for _ in range(blocks):
            if block is BasicBlock:
                macs += conv(channels, planes, 3, side) + conv(planes, planes, 3, side)
            else:
                macs += conv(channels, inner, 1, side_in) + conv(inner, inner, 3, side, groups)
                macs += conv(inner, out, 1, side)
            if (channels, side_in) != (out, side):
                macs += conv(channels, out, 1, side)
            channels, side_in = out, side
    return macs + channels * CLASSES


SHAPES = {
    depth: Shape(macs, rounded(WIDTHS), partial(small_macs, depth))
    for depth, macs in ((18, 1_814_073_344), (34, 3_663_761_408), (50, 4_089_184_256))
}


class SmallResNet(nn.Module):
    """Four residual stages of torchvision's blocks behind a 3x3 stem.

    ``widths`` are the stages' channels; ``groups`` and ``width_per_group`` have torchvision's
    meaning: a bottleneck's inner width is width * width_per_group / 64 * groups.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        repeats: tuple[int, int, int, int],
        widths: Sequence[int],
        num_classes: int,
        *,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        channels = widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        stages = []
        for stage, (planes, count) in enumerate(zip(widths, repeats, strict=True)):
            blocks = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                shortcut = _shortcut(channels, planes * block.expansion, stride)
                blocks.append(block(channels, planes, stride, shortcut, groups, width_per_group))
                channels = planes * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.fc(self.avgpool(self.stages(self.stem(images))).flatten(1))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
    """A projection where the block changes the shape (the paper's option B), else None."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(
        StridedPointwise(channels_in, channels_out, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(channels_out),
    )
