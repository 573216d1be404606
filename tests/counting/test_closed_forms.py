"""Small networks against closed forms."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from efficiency_bench.counting import (
    ForwardCount,
    audit,
    count_forward,
    trainable_parameters,
)
from tests.counting.small_networks import LAYERS, PRODUCTS, Functional, Y


def _count(function: Callable[[Tensor, Tensor], Tensor]) -> ForwardCount:
    """Counts for images of 3 x 4 x 4 with ``function`` as the whole network."""
    return count_forward(Functional(function), (3, 4, 4))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    model, macs = LAYERS[name]
    count = count_forward(model, (3, 8, 8))
    assert count.forward_macs == count.first_layer_macs == macs
    assert count.backward_macs == macs  # the weights' gradient; the image needs none


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str) -> None:
    function, macs = PRODUCTS[name]
    count = _count(function)
    assert count.forward_macs == macs
    assert count.by_module == {"": macs}


def test_parameters_count_once_and_only_if_trained() -> None:
    shared = nn.Linear(5, 5)
    frozen = nn.Linear(7, 7).requires_grad_(False)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), shared, shared, frozen)
    # weights and biases: 3 * 5 * 9 + 5, 5 + 5 without the running averages, 25 + 5 once
    assert trainable_parameters(model) == 140 + 10 + 30


def test_einsum_is_exact_beyond_four_digits() -> None:
    count = count_forward(
        Functional(lambda x, w: torch.einsum("nchw,ndhw->ncd", x, x * w[0, 0])), (3, 111, 111)
    )
    assert count.forward_macs == 3 * 3 * 111 * 111  # 110,889: five digits that matter


def test_attention() -> None:
    """16 tokens (4 x 4 px) of width 4: two products of 16 x 16 x 4 each."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(3, 12)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.embed(x.flatten(2).transpose(1, 2)).split([4, 4, 4], dim=-1)
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    count = count_forward(Attention(), (3, 4, 4))
    embedding, product = 16 * 3 * 12, 16 * 16 * 4
    assert count.by_operator == {
        "linear": embedding,
        "scaled_dot_product_attention": 2 * product,
    }
    assert count.backward_macs == embedding + 2 * 2 * product


def test_an_lstm() -> None:
    """4 steps, 3 inputs and 5 units a direction: 20 x 3 and 20 x 5 weights in each of two."""

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 5, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x.mean(3).transpose(1, 2))[0].mean(1))

    of_input, of_state, head = 2 * 4 * 60, 2 * 4 * 100, 10 * 2
    audited = audit(Rows(), (3, 4, 4))
    assert audited.agrees
    count = audited.count
    assert count.forward_macs == of_input + of_state + head
    # the input is the image, and the state before the first of four steps a constant
    assert (count.first_layer_macs, count.constant_operand_macs) == (of_input, 2 * 100)
    assert count.backward_macs == of_input + 2 * of_state - 2 * 100 + 2 * head


def test_a_write_into_a_tensor_that_needs_a_gradient() -> None:
    """The last product has both gradients, although the trace does not show what was written."""

    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.eye(4))

        def forward(self, x: Tensor) -> Tensor:
            y = x @ self.w
            y[:, :, :2] += x[:, :, :2] * self.w[0]
            table = torch.zeros(4, 4)
            table[:2] = 1.0
            return (y @ self.w @ table).flatten(1)

    audited = audit(Writing(), (3, 4, 4))
    assert audited.agrees
    assert audited.count.forward_macs == 3 * Y
    assert audited.count.backward_macs == Y + 2 * Y + Y  # image, both, constant table


def test_cross_attention_with_a_value_of_another_width() -> None:
    """4 queries on 3 keys, width 4 and value width 2, in 3 heads: the image's channels."""
    count = _count(
        lambda x, w: F.scaled_dot_product_attention(x @ w, (x @ w)[:, :, :3], (x @ w)[:, :, :3, :2])
    )
    assert count.forward_macs == 3 * Y + 3 * 4 * 3 * (4 + 2)


def test_a_container_with_contractions_of_its_own() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = nn.Conv2d(4, 4, 1)
            self.w = nn.Parameter(torch.ones(4, 3, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            # no operator between the convolutions, so none that autograd has marked
            return self.child(F.conv2d(x, self.w))

    count = count_forward(nn.Sequential(Mixed()), (3, 4, 4))
    own, child = 16 * 12, 16 * 16
    assert count.by_module == {"0": own, "0.child": child}
    assert count.first_layer_macs == own
    assert count.backward_macs == own + 2 * child


def test_a_shared_module_is_counted_each_time_it_runs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    count = count_forward(Twice(), (3, 4, 4))
    once = 16 * 9
    assert count.by_module == {"layer": 2 * once}
    assert count.first_layer_macs == once
    assert count.backward_macs == once + 2 * once


def test_slicing_padding_and_scaling_the_image_keeps_the_first_layer() -> None:
    class Normalising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1))

        def forward(self, x: Tensor) -> Tensor:
            bands = [x[:, i : i + 1] * 2.0 - 1.0 for i in range(3)]
            return self.layers(F.pad(torch.cat(bands, 1), (1, 1, 1, 1)))

    count = count_forward(Normalising(), (3, 4, 4))
    assert count.first_layer_macs == 36 * 6
    assert count.backward_macs == 36 * 6 + 2 * 36 * 4


def test_a_fixed_filter_is_not_a_first_layer() -> None:
    """A product with constants needs one gradient, like the first layer, but is not in F1."""

    class Blurred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 1)
            self.register_buffer("blur", torch.ones(4, 1, 3, 3) / 9)

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(self.layer(x), self.blur, padding=1, groups=4)

    count = count_forward(Blurred(), (3, 4, 4))
    assert count.forward_macs == FIRST + 16 * 4 * 9
    assert count.first_layer_macs == FIRST
    assert count.backward_macs == FIRST + 16 * 4 * 9


def _stack() -> nn.Sequential:
    """Three 1 x 1 convolutions: 16 * (12, 16, 8) MACs at 4 px."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))


FIRST, SECOND, THIRD = 16 * 12, 16 * 16, 16 * 8


@pytest.mark.parametrize(
    ("frozen", "backward"),
    [
        ((), FIRST + 2 * SECOND + 2 * THIRD),
        ((0,), SECOND + 2 * THIRD),  # no gradient below the second layer
        ((0, 1), THIRD),
        (
            (1,),
            FIRST + SECOND + 2 * THIRD,
        ),  # the middle layer passes gradients through but gets none
        ((3,), FIRST + 2 * SECOND + THIRD),
        ((0, 1, 3), 0),
    ],
)
def test_frozen_layers(frozen: tuple[int, ...], backward: int) -> None:
    model = _stack()
    for layer in frozen:
        model[layer].requires_grad_(False)
    count = count_forward(model, (3, 4, 4))
    assert count.forward_macs == FIRST + SECOND + THIRD
    assert count.first_layer_macs == FIRST  # freezing does not change which layer reads the image
    assert count.backward_macs == backward


def test_no_gradient_flows_through_detach() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.above = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.above(F.relu(self.below(x)).detach())

    count = count_forward(Detached(), (3, 4, 4))
    assert count.forward_macs == 2 * 192
    # the lower layer is counted as trained: the trace does not show that it gets no gradient
    assert count.backward_macs == 192 + 192


def test_a_product_without_the_image_is_charged_to_each_image_in_full() -> None:
    """Transforming a table costs the same for one image as for a batch."""
    count = _count(lambda x, w: (x @ w) + (w @ w)[0])
    assert count.forward_macs == Y + 4 * 4 * 4
    assert count.backward_macs == Y + 2 * 4 * 4 * 4


def test_elements_are_counted_separately_from_macs() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2))
    count = count_forward(model, (3, 4, 4))
    assert count.forward_macs == FIRST
    assert count.uncounted["batch_norm"] == count.uncounted["relu"] == 4 * 16
    assert count.uncounted["avg_pool2d"] == 4 * 4
