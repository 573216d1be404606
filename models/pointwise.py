"""Convolutions of 1x1 with a stride, computed from only the pixels that they read.

On a CPU the gradient of such a convolution writes outside its memory if it has fewer than 16 input
channels, the images are in channels_last and their number is odd with two threads: the process
ends with "double free or corruption" or a segmentation fault (torch 2.14.1 on x86-64, seen with 8,
12 and 13 channels and 29 images; not with 16 channels or one thread).  Without a stride the
gradient is right, and the result is the same.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution without padding that skips pixels before it computes, not while."""

    def forward(self, images: Tensor) -> Tensor:
        """Map images (batch, channels, h, w) to (batch, channels out, ceil(h/s), ceil(w/s))."""
        down, across = self.stride
        return functional.conv2d(
            images[:, :, ::down, ::across], self.weight, self.bias, groups=self.groups
        )


def is_strided_pointwise(module: nn.Module) -> bool:
    """Return whether a module is a 1x1 convolution with a stride and without padding."""
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.padding == (0, 0)
    )


def skip_pixels_first(network: nn.Module) -> None:
    """Make every strided 1x1 convolution of ``network`` a StridedPointwise, in place.

    Weights, their names and torch's random generator do not change.
    """
    for module in network.modules():
        if is_strided_pointwise(module):
            module.__class__ = StridedPointwise
