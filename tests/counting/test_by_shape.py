"""Counting by shape, on the meta device: the same integers as with real numbers."""

import pytest
import timm
import torch
from torch import Tensor, nn

from efficiency_bench.counting.audit import by_module
from efficiency_bench.counting.forward import count_known_operators
from efficiency_bench.counting.independent import count_training_step
from efficiency_bench.errors import UserError

NETWORKS = ("test_byobnet", "test_convnext", "test_mambaout", "test_nfnet", "test_vit", "resnet18")
"""Grouped, depthwise, gated, scaled and plain convolutions, attention; the first five are timm's
own for tests, with 0.3 to 0.5 million parameters."""


class Recurrent(nn.Module):
    """A two-way LSTM over the rows of the red channel, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[:, 0])[0][:, -1])


class Deciding(nn.Module):
    """Looks at a value of the image."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


def _build(name: str) -> nn.Module:
    if name == "recurrent":
        return Recurrent()
    return timm.create_model(name, pretrained=False)


@pytest.mark.parametrize("name", [*NETWORKS, "recurrent"])
def test_shapes_give_the_counts_of_real_numbers(name: str) -> None:
    side = 8 if name == "recurrent" else 64
    real, image = _build(name), (3, side, side)
    with torch.device("meta"):
        shapes = _build(name)
    traced, refused = count_known_operators(real, image)
    assert count_known_operators(shapes, image) == (traced, refused)
    assert refused == {}
    recorded = count_training_step(real, image)
    by_shape = count_training_step(shapes, image)
    assert by_shape.forward_macs == recorded.forward_macs == traced.forward_macs > 0
    assert by_shape.backward_macs == recorded.backward_macs == traced.backward_macs
    assert by_shape.by_module == recorded.by_module
    assert all(one == other for _, one, other in by_module(traced, by_shape))


def test_a_network_that_looks_at_a_value_is_refused() -> None:
    with torch.device("meta"):
        shapes = nn.Sequential(nn.Conv2d(3, 4, 1), Deciding())
    with pytest.raises(UserError, match="cannot take images"):
        count_known_operators(shapes, (3, 4, 4))
