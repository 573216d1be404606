"""MobileNet v1: depthwise convolutions, each followed by a pointwise one.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications" (arXiv 1704.04861), table 1 at width 1.0.  The table prints stride 2 for its last
depthwise row, which contradicts its own 7x7 output: that row has stride 1 here.

Small form (models/small_form.py), departures from the ImageNet form:
- the first two of the five strides of 2 are 1 (stem, and the row before 128 channels).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from efficiency_bench.models.small_form import CLASSES, Shape, conv, rounded

STEM_CHANNELS = 32
# (output channels, stride) of each depthwise-separable pair, table 1
ROWS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
CHANNELS = tuple(channels for channels, _ in ROWS)
STRIDES = tuple(stride for _, stride in ROWS)
SMALL_STRIDES = (1, 1, *STRIDES[2:])  # of the rows; the stem has 1


def imagenet(num_classes: int) -> nn.Module:
    """MobileNet v1 1.0 for (batch, 3, 224, 224)."""
    return MobileNetV1((STEM_CHANNELS, *CHANNELS), (2, *STRIDES), num_classes)


def small(num_classes: int, widths: Sequence[int]) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    return MobileNetV1(widths, (1, *SMALL_STRIDES), num_classes)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    channels, side = widths[0], 32
    macs = conv(3, channels, 3, side)
    for out, stride in zip(widths[1:], SMALL_STRIDES, strict=True):
        side //= stride
        macs += conv(channels, channels, 3, side, groups=channels) + conv(channels, out, 1, side)
        channels = out
    return macs + channels * CLASSES


SHAPE = Shape(568_740_352, rounded((STEM_CHANNELS, *CHANNELS)), small_macs)


def _convolution(
    channels_in: int, channels_out: int, kernel_px: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution that keeps the side at stride 1, batch norm, rectifier."""
    return [
        nn.Conv2d(
            channels_in,
            channels_out,
            kernel_px,
            stride,
            padding=kernel_px // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]


class MobileNetV1(nn.Module):
    """A stem and depthwise-separable pairs; logits of shape (batch, num_classes).

    ``widths`` and ``strides`` are those of the stem and then of each pair.
    """

    def __init__(self, widths: Sequence[int], strides: Sequence[int], num_classes: int) -> None:
        super().__init__()
        channels = widths[0]
        pairs = [nn.Sequential(*_convolution(3, channels, 3, strides[0]))]
        for channels_out, stride in zip(widths[1:], strides[1:], strict=True):
            depthwise = _convolution(channels, channels, 3, stride, groups=channels)
            pointwise = _convolution(channels, channels_out, 1)
            pairs.append(nn.Sequential(*depthwise, *pointwise))
            channels = channels_out
        self.features = nn.Sequential(*pairs)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, num_classes) of normalised images (batch, 3, s, s)."""
        return self.fc(self.avgpool(self.features(images)).flatten(1))
