"""Starting weights for the networks written here: He initialisation before every rectifier."""

from __future__ import annotations

from torch import nn


def he_initialise(network: nn.Module) -> None:
    """Draw weights from N(0, 2 / fan_in), biases zero, in place, from torch's global generator.

    Applies to every ``Conv2d`` and ``Linear`` but the last layer in module order: the classifier
    feeds no rectifier, so the factor 2 does not belong there and torch's default stays.

    Source: He et al. 2015, "Delving Deep into Rectifiers" (arXiv 1502.01852), equation 10.
    Plain networks need it: with torch's default scale an AlexNet without batch norm stays at
    chance on small images.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers[:-1]:
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
