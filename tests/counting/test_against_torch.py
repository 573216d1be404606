"""F and B against torch's own counter, which uses neither fvcore nor traces."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from efficiency_bench.counting import count_forward

# (output channels, kernel, stride, norm and activation after it)
LAYERS = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from([1, 3]),
        st.sampled_from([1, 2]),
        st.sampled_from(["nothing", "relu", "batch norm"]),
    ),
    min_size=1,
    max_size=4,
)


def _network(layers: list[tuple[int, int, int, str]], hidden: int | None) -> nn.Sequential:
    """Convolutions, global average pooling, then one or two linear layers."""
    modules: list[nn.Module] = []
    channels = 3
    for width, kernel, stride, behind in layers:
        modules.append(nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2))
        if behind == "batch norm":
            modules.append(nn.BatchNorm2d(width))
        if behind != "nothing":
            modules.append(nn.ReLU())
        channels = width
    modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if hidden:
        modules.append(nn.Linear(channels, hidden))
    modules.append(nn.Linear(hidden or channels, 2))
    return nn.Sequential(*modules)


@settings(max_examples=40, deadline=None)
@given(
    layers=LAYERS,
    hidden=st.one_of(st.none(), st.integers(1, 5)),
    side=st.integers(9, 12),
    frozen=st.integers(0, 3),
)
def test_forward_and_backward(
    layers: list[tuple[int, int, int, str]], hidden: int | None, side: int, frozen: int
) -> None:
    model = _network(layers, hidden)
    count = count_forward(model, (3, side, side))
    assert count.backward_macs == 2 * count.forward_macs - count.first_layer_macs

    for module in [m for m in model if isinstance(m, nn.Conv2d)][:frozen]:
        module.requires_grad_(False)
    partly = count_forward(model, (3, side, side))

    images = torch.rand(2, 3, side, side)
    with FlopCounterMode(display=False) as forward:
        loss = model(images).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    # torch counts two operations per MAC, for both images
    assert forward.get_total_flops() == 2 * 2 * count.forward_macs
    assert backward.get_total_flops() == 2 * 2 * partly.backward_macs
    assert partly.first_layer_macs == count.first_layer_macs
