"""Unknown operators are rejected by name, and counting does not change the model."""

import copy

import pytest
import torch
from fvcore.nn.jit_analysis import _IGNORED_OPS
from torch import Tensor, nn

from efficiency_bench.counting import UncountedOperatorError, count_forward, operators
from efficiency_bench.errors import UserError


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).abs()


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x @ x

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class Hidden(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Square.apply(x)


class PartWriter(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        result = torch.zeros(2, 4, 4, 4)
        result[:, :, :, :2] = x[:, :, :, :2]
        return result


class ThreeOperands(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,ndhw,nehw->ncde", x, x, x)


@pytest.mark.parametrize(
    ("layer", "operator"),
    [
        (Spectrum(), "aten::fft_fft"),
        (Hidden(), "prim::PythonOp.Square"),
        (PartWriter(), "aten::copy_"),
        (ThreeOperands(), "aten::einsum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rejected_with_operator_and_module(layer: nn.Module, operator: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), layer))
    with pytest.raises(UncountedOperatorError, match=operator) as refusal:
        count_forward(model, (3, 4, 4))
    assert list(refusal.value.found) == [(operator, "1.1")]
    assert f"{operator} in module 1.1" in str(refusal.value)
    assert isinstance(refusal.value, UserError)


def test_recurrent_layers_are_rejected() -> None:
    """fvcore counts a GRU as zero."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(4, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.gru(x[:, 0])[0]

    with pytest.raises(UncountedOperatorError, match="aten::gru in module gru"):
        count_forward(Recurrent(), (3, 4, 4))


def test_every_operator_is_on_exactly_one_list() -> None:
    lists = [
        set(operators.CONTRACTIONS),
        set(operators.POINTWISE),
        set(operators.NORMALISATION),
        set(operators.REDUCTION),
        set(operators.RESAMPLING),
        set(operators.VIEWS),
        set(operators.COPIES),
        set(operators.CONSTANTS),
        set(operators.BOOKKEEPING),
        set(operators.WRITES),
        set(operators.REFUSED),
    ]
    assert sum(map(len, lists)) == len(set.union(*lists))


def test_the_lists_cover_every_operator_that_fvcore_ignores() -> None:
    known = (
        set(operators.CONTRACTIONS)
        | operators.ELEMENTWISE
        | operators.FREE
        | set(operators.WRITES)
        | set(operators.REFUSED)
    )
    assert known >= _IGNORED_OPS


def test_an_image_too_small_for_the_network_is_a_user_error() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(4))
    with pytest.raises(UserError, match=r"Sequential cannot take images of 4 px: .*too small"):
        count_forward(model, (3, 4, 4))


def test_compute_that_is_not_proportional_to_the_images() -> None:
    class FirstImageOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x[:1])

    with pytest.raises(UserError, match=r"conv: 27 MACs for 2 images"):
        count_forward(FirstImageOnly(), (3, 3, 3))


@pytest.mark.parametrize("training", [True, False])
def test_model_and_generators_do_not_change(training: bool) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    ).train(training)
    model[1].requires_grad_(False)
    model(torch.rand(4, 3, 8, 8)).sum().backward()
    state = copy.deepcopy(model.state_dict())
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    flags = [p.requires_grad for p in model.parameters()]
    random = torch.get_rng_state()

    count_forward(model, (3, 8, 8))

    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(module.training is training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()] == flags
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        if gradient is None:
            assert parameter.grad is None
        else:
            assert torch.equal(parameter.grad, gradient)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_counting_works_under_no_grad_and_autocast() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    plain = count_forward(model, (3, 4, 4))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert count_forward(model, (3, 4, 4)) == plain


@pytest.mark.parametrize("batch", [3, 4])
def test_counts_per_image_do_not_depend_on_the_batch_size(batch: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    assert count_forward(model, (3, 8, 8), batch) == count_forward(model, (3, 8, 8))
