"""MobileNet v3 Small: searched inverted residuals, squeeze-and-excitation and hard swish.

Howard et al. 2019, "Searching for MobileNetV3" (arXiv 1905.02244), table 2.

Small form (models/small_form.py), departures from the ImageNet form:
- the first two of the five strides of 2 are 1 (stem, and the first row), which gives the first row
  a shortcut;
- a squeeze has the channels nearest to a quarter, not the nearest multiple of 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torchvision
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig, MobileNetV3
from torchvision.ops.misc import SqueezeExcitation

from efficiency_bench.models.small_form import CLASSES, Shape, conv, nearest, rounded


class Row(NamedTuple):
    """A row of table 2."""

    channels_in: int
    kernel_px: int
    expanded: int
    channels_out: int
    squeeze: bool
    activation: str
    stride: int


# table 2 with the first stride 1
SMALL_ROWS = (
    Row(16, 3, 16, 16, True, "RE", 1),
    Row(16, 3, 72, 24, False, "RE", 2),
    Row(24, 3, 88, 24, False, "RE", 1),
    Row(24, 5, 96, 40, True, "HS", 2),
    Row(40, 5, 240, 40, True, "HS", 1),
    Row(40, 5, 240, 40, True, "HS", 1),
    Row(40, 5, 120, 48, True, "HS", 1),
    Row(48, 5, 144, 48, True, "HS", 1),
    Row(48, 5, 288, 96, True, "HS", 2),
    Row(96, 5, 576, 96, True, "HS", 1),
    Row(96, 5, 576, 96, True, "HS", 1),
)
HIDDEN = 1024
LAST_EXPANSION = 6  # of the last convolution
EPSILON = 1e-3  # of batch norm: torchvision's, from the paper's released code


def imagenet(
    num_classes: int, *, dropout: float = 0.2, batch_norm_momentum: float = 0.1
) -> nn.Module:
    """torchvision's MobileNet v3 Small 1.0 for (batch, 3, 224, 224); ``dropout`` before the
    classifier.

    ``batch_norm_momentum`` is torch's, the weight of the new batch: the paper's 0.99 is 0.01.
    """
    return torchvision.models.mobilenet_v3_small(
        weights=None,
        num_classes=num_classes,
        dropout=dropout,
        norm_layer=_batch_norm(batch_norm_momentum),
    )


def _paper_widths() -> Iterator[int]:
    """Every width that table 2 chooses: where a row keeps what it reads, it has none of its own."""
    yield SMALL_ROWS[0].channels_in
    for row in SMALL_ROWS:
        if row.expanded != row.channels_in:
            yield row.expanded
        if row.channels_out != row.channels_in:
            yield row.channels_out
    yield HIDDEN


def _rows(widths: Sequence[int]) -> list[Row]:
    """Table 2 with ``widths`` in place of the paper's."""
    given = iter(widths)
    channels, rows = next(given), []
    for row in SMALL_ROWS:
        expanded = next(given) if row.expanded != row.channels_in else channels
        out = next(given) if row.channels_out != row.channels_in else channels
        rows.append(row._replace(channels_in=channels, expanded=expanded, channels_out=out))
        channels = out
    return rows


def _quarter(channels: int) -> int:
    return nearest(channels / 4)


def small_macs(widths: Sequence[int]) -> int:
    """F of the small form."""
    rows, side = _rows(widths), 32
    macs = conv(3, rows[0].channels_in, 3, side)
    for row in rows:
        inner = row.expanded
        macs += conv(row.channels_in, inner, 1, side) if inner != row.channels_in else 0
        side //= row.stride
        macs += conv(inner, inner, row.kernel_px, side, groups=inner)
        macs += 2 * inner * _quarter(inner) if row.squeeze else 0
        macs += conv(inner, row.channels_out, 1, side)
    last = LAST_EXPANSION * rows[-1].channels_out
    macs += conv(rows[-1].channels_out, last, 1, side)
    return macs + last * widths[-1] + widths[-1] * CLASSES


SHAPE = Shape(56_510_400, rounded(list(_paper_widths())), small_macs)


class _AnyWidth(InvertedResidualConfig):
    """A row whose widths are used as they are, not rounded to multiples of 8."""

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        return channels


def _squeeze(channels: int, _: int) -> nn.Module:
    """Squeeze-and-excitation; torchvision offers a multiple of 8, which is not used."""
    return SqueezeExcitation(channels, _quarter(channels), scale_activation=nn.Hardsigmoid)


def small(
    num_classes: int,
    widths: Sequence[int],
    *,
    dropout: float = 0.2,
    batch_norm_momentum: float = 0.1,
) -> nn.Module:
    """The small form for (batch, 3, s, s), any s."""
    network = MobileNetV3(
        [_AnyWidth(*row, dilation=1, width_mult=1.0) for row in _rows(widths)],
        widths[-1],
        num_classes=num_classes,
        block=partial(InvertedResidual, se_layer=_squeeze),
        dropout=dropout,
        norm_layer=_batch_norm(batch_norm_momentum),
    )
    network.features[0][0].stride = (1, 1)
    return network


def _batch_norm(momentum: float) -> partial[nn.BatchNorm2d]:
    return partial(nn.BatchNorm2d, eps=EPSILON, momentum=momentum)
