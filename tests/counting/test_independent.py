"""The independent counter against closed forms, per operator, and against the trace."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficiency_bench.counting import CountersDisagreeError, audited_count
from efficiency_bench.counting.audit import audit
from efficiency_bench.counting.independent import count_step, count_training_step
from efficiency_bench.errors import UserError
from tests.counting.small_networks import LAYERS, PRODUCTS

IMAGE = (3, 8, 8)


class Flat(nn.Module):
    """Flattens feature maps to logits (batch, rest)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Own(nn.Module):
    """Runs ``function(x, w)`` with a trained matrix w [4, 4], on images 4 px wide."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.eye(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.w).flatten(1)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_match_closed_forms(name: str) -> None:
    layer, macs = LAYERS[name]
    count = count_training_step(nn.Sequential(layer, Flat()), IMAGE)
    assert count.forward_macs == macs
    assert count.backward_macs == macs  # the weights' gradient; the image needs none
    assert count.by_module["0.1" if name == "linear" else "0"] == macs


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_after_another_has_two_gradients(name: str) -> None:
    layer, macs = LAYERS[name]
    count = count_training_step(nn.Sequential(nn.Conv2d(3, 3, 1), layer, Flat()), IMAGE)
    assert count.forward_macs == 64 * 9 + macs
    assert count.backward_macs == 64 * 9 + 2 * macs


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_match_closed_forms(name: str) -> None:
    function, macs = PRODUCTS[name]
    if "addbmm" in name or name == "mm":
        # these mix the images of the batch, so the output has no row per image
        mixed = function

        def function(x: Tensor, w: Tensor) -> Tensor:
            return mixed(x, w).reshape(1, -1).expand(len(x), -1)

    if name in ("mv", "addmm", "addmv"):
        flat = function

        def function(x: Tensor, w: Tensor) -> Tensor:
            return flat(x, w).reshape(len(x), -1)

    assert count_training_step(Own(function), (3, 4, 4)).forward_macs == macs


@pytest.mark.parametrize("name", [n for n in PRODUCTS if n not in ("mm", "addbmm")])
def test_both_counters_agree_on_the_gradients_of_products(name: str) -> None:
    function, _ = PRODUCTS[name]
    found = audit(Own(lambda x, w: function(x, w).reshape(len(x), -1)), (3, 4, 4))
    assert found.disagreements == ()


BACKENDS = [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]


class Attention(nn.Module):
    """One head over 16 tokens of width 3, projected to width 6 for queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(3, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2).unsqueeze(1)
        mixed = F.scaled_dot_product_attention(self.q(tokens), self.k(tokens), self.v(tokens))
        return mixed.flatten(1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("frozen", "products"),
    [
        ("", 4),  # of scores and values; of scores for q, for k
        ("v", 3),  # the scores', which q and k need, and one for each of these
        ("q", 3),  # v's, the scores', k's
        ("qk", 1),  # v's alone
        ("kv", 2),  # the scores' and q's
    ],
)
def test_attention_needs_one_product_per_requested_gradient(
    backend: SDPBackend, frozen: str, products: int
) -> None:
    model = Attention()
    for name in frozen:
        getattr(model, name).requires_grad_(False)
    embedding, product = 16 * 3 * 6, 16 * 16 * 6
    with sdpa_kernel(backend):
        count = count_training_step(model, (3, 4, 4))
        assert audit(model, (3, 4, 4)).agrees
    assert count.forward_macs == 3 * embedding + 2 * product
    assert count.backward_macs == (3 - len(frozen)) * embedding + products * product
    fused = "_scaled_dot_product_flash_attention_for_cpu" in count.forward_by_operator
    assert fused == (backend is SDPBackend.FLASH_ATTENTION)


@settings(max_examples=25, deadline=None)
@given(
    groups=st.sampled_from([1, 2, 6]),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    transposed=st.booleans(),
    frozen=st.sampled_from(["", "below", "layer"]),
)
def test_both_counters_agree_on_any_convolution(
    groups: int, kernel: int, stride: int, dilation: int, transposed: bool, frozen: str
) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = kind(6, 12, kernel, stride, dilation=dilation, groups=groups)
    below = nn.Conv2d(3, 6, 1)
    for name in frozen.split():
        {"below": below, "layer": layer}[name].requires_grad_(False)
    found = audit(nn.Sequential(below, layer, Flat()), IMAGE)
    assert found.agrees
    side = (8 - 1) * stride + dilation * (kernel - 1) + 1
    if not transposed:
        side = (8 - dilation * (kernel - 1) - 1) // stride + 1
    pixels = 8 * 8 if transposed else side * side
    macs = pixels * 6 * 12 * kernel * kernel // groups
    gradients = {"": 64 * 18 + 2 * macs, "below": macs, "layer": 64 * 18 + macs}
    assert found.independent.forward_macs == 64 * 18 + macs
    assert found.independent.backward_macs == gradients[frozen]


class Table(nn.Module):
    """Adds a projected constant table to the maps; with ``batch``, one copy per image."""

    def __init__(self, batch: bool) -> None:
        super().__init__()
        self.batch = batch
        self.layer = nn.Conv2d(3, 4, 1)
        self.project = nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        table = torch.ones(x.shape[0] if self.batch else 1, 2, *x.shape[2:])
        return (self.layer(x) + self.project(table)).flatten(1)


@pytest.mark.parametrize("batch", [True, False])
def test_a_constant_table_is_charged_once_per_image(batch: bool) -> None:
    found = audit(Table(batch), (3, 4, 4))
    first, table = 16 * 12, 16 * 8
    assert found.independent.forward_macs == found.count.forward_macs == first + table
    assert found.independent.backward_macs == found.count.backward_macs == first + table
    assert found.count.first_layer_macs == first
    assert found.count.constant_operand_macs == table
    assert found.agrees
    assert not found.plainly_trained


def test_fixed_filters_reduce_the_backward_pass() -> None:
    class Blurred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 1)
            self.register_buffer("blur", torch.ones(4, 1, 3, 3) / 9)

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(self.layer(x), self.blur, padding=1, groups=4).flatten(1)

    found = audit(Blurred(), (3, 4, 4))
    assert found.count.constant_operand_macs == 16 * 4 * 9
    assert found.agrees


def test_a_cut_gradient_is_rejected() -> None:
    """Layers before a detach are not trained, so B = 2F - F1 does not hold."""

    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.above = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            below = self.below(x)
            return (below + self.above(below.detach())).flatten(1)

    found = audit(Cut(), IMAGE)
    macs = 3 * 8 * 8 * 8
    assert found.count.backward_macs == found.independent.backward_macs == 2 * macs
    with pytest.raises(CountersDisagreeError, match=rf"{2 * macs} by fvcore.*= {3 * macs}.*detach"):
        audited_count(Cut(), IMAGE)


def test_a_teacher_counts_the_same_in_inference_mode_and_under_no_grad() -> None:
    """In inference mode linear and matmul reach the dispatcher undecomposed."""
    teacher = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(2), nn.Linear(64, 5), Flat())
    images = torch.rand(2, *IMAGE)
    macs = 2 * (64 * 12 + 4 * 64 * 5)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            count = count_step(lambda: teacher(images), teacher, (images,))
        assert (count.forward_macs, count.backward_macs) == (macs, 0)
        assert count.by_module == {"0": 2 * 64 * 12, "2": 2 * 4 * 64 * 5}


def test_distances_have_no_formula() -> None:
    rows = torch.rand(2, 3, 8)
    count = count_step(lambda: torch.cdist(rows, rows))
    assert ("aten::_cdist_forward", "") in count.without_formula


class Returns(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 5)
        self.wrap = wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.layer(x.flatten(1)))


@pytest.mark.parametrize("wrap", [lambda y: y, lambda y: (y, y), lambda y: [y, y, y]])
def test_heads_in_a_tuple_or_a_list_are_counted(wrap: Callable[[Tensor], object]) -> None:
    assert audited_count(Returns(wrap), IMAGE).backward_macs == 192 * 5


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda y: {"out": y}, r"returns a dict of shapes \(2, 5\)"),
        (lambda y: y[:, :, None], r"returns a Tensor of shapes \(2, 5, 1\)"),
        (lambda y: (y, None), r"returns a tuple of shapes \(2, 5\)"),
    ],
)
def test_unsupported_outputs_are_rejected(wrap: Callable[[Tensor], object], words: str) -> None:
    with pytest.raises(UserError, match=f"Returns {words} in train mode; .*main logits first"):
        count_training_step(Returns(wrap), IMAGE)
