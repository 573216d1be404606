"""ResNet: stages of residual blocks, plain (18, 34 layers) or with bottlenecks (50).

He, Zhang, Ren, Sun 2015, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385),
table 1, in torchvision's version, whose bottleneck strides in its 3x3 convolution.

Small form, departures from the ImageNet form:
- first convolution 3x3 with stride 1 (7x7 with stride 2), no pool after it, as in the paper's
  own CIFAR-10 networks (section 4.2);
- width of the first stage 16 for 18 layers and 12 for 34 and 50 (64), doubling as before.
"""

from __future__ import annotations

import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

# depth -> block, blocks in each stage (table 1)
STAGES: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}
WIDTHS = {18: 16, 34: 12, 50: 12}  # small form: channels of the first stage (64)


def imagenet(depth: int, num_classes: int) -> nn.Module:
    """torchvision's ResNet of ``depth`` 18, 34 or 50 layers for (batch, 3, 224, 224)."""
    builders = {
        18: torchvision.models.resnet18,
        34: torchvision.models.resnet34,
        50: torchvision.models.resnet50,
    }
    return builders[depth](weights=None, num_classes=num_classes)


def small(depth: int, num_classes: int) -> nn.Module:
    """The small form of ``depth`` 18, 34 or 50 layers for (batch, 3, s, s), any s."""
    block, repeats = STAGES[depth]
    return SmallResNet(block, repeats, WIDTHS[depth], num_classes)


class SmallResNet(nn.Module):
    """Four residual stages of torchvision's blocks behind a 3x3 stem.

    ``width`` is the first stage's channels; ``groups`` and ``width_per_group`` have
    torchvision's meaning: a bottleneck's inner width is width * width_per_group / 64 * groups.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        repeats: tuple[int, int, int, int],
        width: int,
        num_classes: int,
        *,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        stages = []
        channels = width
        for stage, count in enumerate(repeats):
            planes = width * 2**stage
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
        nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(channels_out),
    )
