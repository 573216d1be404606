"""MobileNet v1: depthwise convolutions, each followed by a pointwise one.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications" (arXiv 1704.04861), table 1 at width 1.0.  The table prints stride 2 for its last
depthwise row, which contradicts its own 7x7 output: that row has stride 1 here.

Small form, departures from the ImageNet form:
- the first and the last of the five strides of 2 are 1 (stem, and the row before 1024 channels);
- width multiplier 0.5, one of the paper's own.
"""

from __future__ import annotations

from torch import Tensor, nn

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
SMALL_ROWS = tuple((channels, stride if channels < 1024 else 1) for channels, stride in ROWS)
SMALL_WIDTH = 0.5


def imagenet(num_classes: int) -> nn.Module:
    """MobileNet v1 1.0 for (batch, 3, 224, 224)."""
    return MobileNetV1(ROWS, 1.0, stem_stride=2, num_classes=num_classes)


def small(num_classes: int) -> nn.Module:
    """The small form for (batch, 3, s, s), any s; 16 px end at 2x2."""
    return MobileNetV1(SMALL_ROWS, SMALL_WIDTH, stem_stride=1, num_classes=num_classes)


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
    """A stem and depthwise-separable pairs; logits of shape (batch, num_classes)."""

    def __init__(
        self,
        rows: tuple[tuple[int, int], ...],
        width: float,
        *,
        stem_stride: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        channels = int(STEM_CHANNELS * width)
        pairs = [nn.Sequential(*_convolution(3, channels, 3, stem_stride))]
        for full_channels, stride in rows:
            channels_out = int(full_channels * width)
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
