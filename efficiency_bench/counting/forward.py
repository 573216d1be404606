"""Forward and backward MACs per image of the training graph, counted by fvcore, strictly.

fvcore traces an eager copy of the network as it trains (train mode, gradients on, auxiliary
heads on).  Only contractions enter the count; an operator on no list stops it, by name.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from efficiency_bench.counting import handles, operators
from efficiency_bench.errors import UserError

with warnings.catch_warnings():
    # importing fvcore.nn uses torch.jit decorators that torch has deprecated
    warnings.filterwarnings("ignore", message=".*torch.jit.*")
    from fvcore.nn import FlopCountAnalysis

TRACE_BATCH = 2
"""Images traced: batch norm in train mode needs two; counts are linear in the batch."""


class UncountedOperatorError(UserError):
    """The network uses an operator on no list, so its compute would be wrong."""


@dataclass(frozen=True)
class ForwardCount:
    """MACs per image of one forward pass at one resolution, and of its backward pass."""

    resolution_px: int
    forward_macs: int
    """F: convolutions, linear layers, matrix products, attention products."""
    first_layer_macs: int
    """F1: the part of F whose input needs no gradient (for a plainly trained net, the image)."""
    backward_macs: int
    """B: F for the weights that are trained, F for the inputs that need a gradient."""
    by_operator: dict[str, int] = field(hash=False)
    """Contraction (fvcore's name) -> MACs; their sum is F."""
    by_module: dict[str, int] = field(hash=False)
    """Module that runs the contraction itself -> MACs; their sum is F."""
    uncounted: dict[str, int] = field(hash=False)
    """Other operators with arithmetic -> output elements; no part of F."""


def count_forward(model: nn.Module, image_shape: tuple[int, int, int]) -> ForwardCount:
    """Count ``model`` as it trains on images of ``image_shape`` (channels, height, width).

    The model itself, its mode and every random generator stay untouched.  Raises
    UncountedOperatorError, naming operator and module, where the count could not be trusted.
    """
    traced = copy.deepcopy(model).train()
    needs_gradient: dict[str, set[bool]] = {}
    for name, module in traced.named_modules():
        module.register_forward_pre_hook(_observer(name, needs_gradient), with_kwargs=True)
    first = next(traced.parameters())
    images = torch.zeros(TRACE_BATCH, *image_shape, device=first.device, dtype=first.dtype)
    with _random_generators_kept(first.device), torch.enable_grad(), _quiet_fvcore():
        analysis = _strict_analysis(traced, images)
        whole = analysis.by_operator()
        _refuse_unknown(analysis)
        by_module = _own_contractions(analysis, traced)
    macs = {name: sum(account.values()) for name, account in by_module.items()}
    gradients = {
        name: _gradient_macs(name, traced.get_submodule(name), account, needs_gradient)
        for name, account in by_module.items()
    }
    return ForwardCount(
        resolution_px=image_shape[-1],
        forward_macs=sum(macs.values()),
        first_layer_macs=sum(
            count for name, count in macs.items() if needs_gradient[name] == {False}
        ),
        backward_macs=sum(gradients.values()),
        by_operator={k: _per_image(k, v) for k, v in whole.items() if k in CONTRACTION_NAMES},
        by_module=macs,
        uncounted={
            k: int(v) // TRACE_BATCH for k, v in whole.items() if k not in CONTRACTION_NAMES
        },
    )


CONTRACTION_NAMES = frozenset(
    {"conv"} | {kind.removeprefix("aten::") for kind in operators.CONTRACTIONS}
)
"""What fvcore calls the contractions (``_convolution`` becomes ``conv``)."""


def _strict_analysis(model: nn.Module, images: Tensor) -> FlopCountAnalysis:
    """fvcore's analysis with our handles: own contractions, elements apart, free ones ignored."""
    analysis = FlopCountAnalysis(model, images)
    for kind, handle in handles.OWN.items():
        analysis.set_op_handle(kind, handle)
    for kind in operators.ELEMENTWISE:
        for variant in (kind, f"{kind}_"):
            analysis.set_op_handle(variant, _counted_as(kind))
    for kind in operators.FREE:
        analysis.set_op_handle(kind, None, f"{kind}_", None)
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)


def _counted_as(kind: str) -> Callable[[Any, Any], Counter[str]]:
    name = kind.removeprefix("aten::")
    return lambda inputs, outputs: Counter({name: handles.elements(inputs, outputs)})


def _refuse_unknown(analysis: FlopCountAnalysis) -> None:
    unknown = [kind for kind in analysis.unsupported_ops() if operators.group(kind) is None]
    if not unknown:
        return
    kind = sorted(unknown)[0]
    where = [n for n, _ in analysis._model.named_modules() if kind in analysis.unsupported_ops(n)]
    module = max(where, key=len) or "the network itself"
    raise UncountedOperatorError(
        f"operator {kind} in module {module} is on no list, so the compute cannot be trusted;\n"
        "say what it costs in efficiency_bench/counting/operators.py"
    )


def _own_contractions(analysis: FlopCountAnalysis, model: nn.Module) -> dict[str, Counter[str]]:
    """MACs per image by module and contraction, each where it is run and not in its parents."""
    totals = analysis.by_module_and_operator()
    own: dict[str, Counter[str]] = {}
    for name, module in model.named_modules():
        account = Counter({k: v for k, v in totals[name].items() if k in CONTRACTION_NAMES})
        for child, _ in module.named_children():
            path = f"{name}.{child}" if name else child
            if analysis.canonical_module_name(path) == path:
                account.subtract({k: v for k, v in totals[path].items() if k in account})
        account = Counter({k: _per_image(k, v) for k, v in account.items() if v})
        if account:
            own[name] = account
    return own


def _per_image(name: str, total: float) -> int:
    """A count of the traced batch as MACs per image; it must come out whole."""
    each, rest = divmod(int(total), TRACE_BATCH)
    if rest or total != int(total):
        raise UncountedOperatorError(
            f"operator {name} costs {total:g} MACs for {TRACE_BATCH} images, which is not the"
            " same for each: it cannot be counted per image"
        )
    return each


def _gradient_macs(
    name: str,
    module: nn.Module,
    account: Counter[str],
    needs_gradient: dict[str, set[bool]],
) -> int:
    """Backward MACs: each contraction once for every operand that needs a gradient.

    A module's weights count as trained when one of its matrices is; that its input needs a
    gradient was seen in the traced pass.
    """
    seen = needs_gradient[name]
    if len(seen) > 1:
        raise UncountedOperatorError(
            f"module {name} reads both the image and activations; give each use its own module"
        )
    (input_needs,) = seen
    trained = any(p.requires_grad for p in module.parameters() if p.ndim > 1)
    weighted = sum(v for k, v in account.items() if k not in operators.OF_ACTIVATIONS)
    activations = sum(account.values()) - weighted
    output_needs = input_needs or trained
    return weighted * (trained + input_needs) + activations * 2 * output_needs


def _observer(name: str, seen: dict[str, set[bool]]) -> Callable[..., None]:
    """A hook that notes whether any tensor a module is given needs a gradient."""

    def observe(_: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        tensors = [a for a in (*arguments, *keywords.values()) if isinstance(a, Tensor)]
        seen.setdefault(name, set()).add(any(t.requires_grad for t in tensors))

    return observe


@contextmanager
def _random_generators_kept(device: torch.device) -> Iterator[None]:
    """Dropout and stochastic depth draw numbers while traced: give them back."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def _quiet_fvcore() -> Iterator[None]:
    """fvcore logs what it does not know; the strict check says it instead, or refuses."""
    logger = logging.getLogger("fvcore.nn.jit_analysis")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            warnings.filterwarnings("ignore", message=".*torch.jit.*")
            yield
    finally:
        logger.disabled = before
