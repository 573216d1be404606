"""An independent count of multiply-adds: every Conv2d and Linear by its closed form.

All contractions of the registered networks are of these two kinds, so forward hooks on them see
everything.  Nothing here uses the package's own counter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """One recorded contraction: kind, shapes and MACs per image."""

    kind: str
    kernel_px: tuple[int, ...]
    grouped: bool
    depthwise: bool
    channels_out: int
    side_px: int
    macs: int
    reads_image: bool


def conv_macs(layer: nn.Conv2d, height: int, width: int) -> int:
    """MACs per image: each of C_out * h * w outputs sums C_in / groups * k_h * k_w products."""
    products = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
    return layer.out_channels * height * width * products


def trace(model: nn.Module, image_px: int, *, train: bool = True) -> list[Layer]:
    """The contractions of one forward pass of two images, in the order of execution.

    Works on the meta device too, where shapes are all there is.
    """
    layers: list[Layer] = []
    images = torch.zeros(2, 3, image_px, image_px, device=next(model.parameters()).device)

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        reads_image = inputs[0] is images
        if isinstance(module, nn.Conv2d):
            height, width = output.shape[2:]
            layers.append(
                Layer(
                    kind="conv",
                    kernel_px=tuple(module.kernel_size),
                    grouped=module.groups > 1,
                    depthwise=module.groups == module.in_channels > 1,
                    channels_out=module.out_channels,
                    side_px=height,
                    macs=conv_macs(module, height, width),
                    reads_image=reads_image,
                )
            )
        else:
            assert isinstance(module, nn.Linear)
            # once per pixel: ConvNeXt's read maps of shape (batch, side, side, channels)
            side_px = output.shape[1] if output.ndim == 4 else 1
            macs = output[0].numel() * module.in_features
            layers.append(
                Layer("linear", (), False, False, module.out_features, side_px, macs, reads_image)
            )

    handles = [
        module.register_forward_hook(record)
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training = model.training
    model.train(train)
    with torch.no_grad():
        model(images)
    model.train(was_training)
    for handle in handles:
        handle.remove()
    return layers


def forward_macs(layers: list[Layer]) -> int:
    """F: MACs per image of the traced pass."""
    return sum(layer.macs for layer in layers)


def first_layer_macs(layers: list[Layer]) -> int:
    """F1: the part of F in layers that read the image."""
    return sum(layer.macs for layer in layers if layer.reads_image)


def parameters(model: nn.Module) -> int:
    """Number of parameters, auxiliary heads included."""
    return sum(p.numel() for p in model.parameters())
