"""A strict trace of a model by fvcore: counts of the whole batch, by module."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from efficiency_bench.counting import operators
from efficiency_bench.counting.operators import (
    SIZES,
    Handle,
    JitModelAnalysis,
    Product,
    Value,
    constant,
    get_shape,
)
from efficiency_bench.errors import UserError

ENDS = SIZES | {"prim::Param"}
"""Node kinds at which the search for ancestors stops."""


class Ancestry:
    """Whether a value of the graph, or any value it was computed from, satisfies ``is_root``.

    The search stops at sizes: a table of the image's size does not depend on the image's content.
    """

    def __init__(self, is_root: Callable[[Value], bool]) -> None:
        self._is_root = is_root
        self._known: dict[str, bool] = {}

    def __call__(self, value: Value) -> bool:
        """The answer for ``value``; each value of a graph is visited once."""
        # An explicit stack: a deep network's graph exceeds Python's recursion limit.
        stack = [value]
        while stack:
            name, node = stack[-1].debugName(), stack[-1].node()
            if name in self._known:
                stack.pop()
            elif self._is_root(stack[-1]) or node.kind() in ENDS:
                self._known[name] = self._is_root(stack[-1])
            else:
                inputs = list(node.inputs())
                unknown = [i for i in inputs if i.debugName() not in self._known]
                stack.extend(unknown)
                if not unknown:
                    self._known[name] = any(self._known[i.debugName()] for i in inputs)
        return self._known[value.debugName()]


def is_image(value: Value) -> bool:
    """Whether ``value`` is the batch of images, the graph's first input."""
    node = value.node()
    return node.kind() == "prim::Param" and value.debugName() == next(node.outputs()).debugName()


def grows_with_batch(value: Value) -> bool:
    """Whether ``value`` is the images, or a size that may be their number (dimension 0)."""
    node = value.node()
    if node.kind() == "aten::size":
        return constant(node, 1) in (0, None)
    return is_image(value) or node.kind() in SIZES - {"aten::dim"}


def is_trained(value: Value) -> bool:
    """Whether ``value`` is a parameter that needs a gradient (the images do not)."""
    return value.node().kind() == "prim::Param" and bool(value.requires_grad())


Ancestries = dict[Callable[[Value], bool], Ancestry]
"""Question about a value -> the question about its ancestors."""

# A handle may return several named counts, which fvcore sums by module.  One trace thus gives all
# five quantities, distinguished by these prefixes.
FORWARD, FIRST, BACKWARD, CONSTANT = "forward", "first", "backward", "constant"
ELEMENTS = "elements"

_Counts = Callable[[Sequence[Value], Sequence[Value]], Counter[str]]
Places = dict[tuple[str, str], str]
"""(operator, module) -> why it cannot be counted."""


SHOWN_PLACES = 4
"""Places named in an error message: a network repeats its blocks."""


class UncountedOperatorError(UserError):
    """Some operators cannot be counted; the message names them."""

    def __init__(self, found: Mapping[tuple[str, str], str]) -> None:
        self.found = dict(found)
        """(operator, module) -> why it cannot be counted."""
        shown = [
            f"{operator} in {f'module {module}' if module else 'the model itself'} ({reason})"
            for (operator, module), reason in sorted(found.items())
        ]
        if len(shown) > SHOWN_PLACES:
            shown[SHOWN_PLACES:] = [f"and {len(shown) - SHOWN_PLACES} more places"]
        places = "; ".join(shown)
        super().__init__(
            f"cannot count this model: {places}.\nTo have an operator counted, add it to a list in"
            " efficiency_bench/counting/operators.py, a contraction together with its handle"
        )


class _TracedByShape(TorchDispatchMode):
    """Lets a network on the meta device, whose tensors have shapes but no values, be traced.

    The trace records ``_convolution`` from within the kernel of ``convolution``, which the meta
    device replaces by a Python function that cannot run under trace.  Here it is recorded first.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator; a convolution under trace as the recorded ``_convolution``."""
        plain, recorded = torch.ops.aten.convolution.default, torch.ops.aten._convolution.default
        if func is plain and torch._C._get_tracing_state() is not None:
            torch._C._dispatch_tls_set_dispatch_key_excluded("Tracer", False)
            try:
                with self:
                    return recorded(*args, *CUDNN_SETTINGS)
            finally:
                torch._C._dispatch_tls_set_dispatch_key_excluded("Tracer", True)
        if func is recorded:
            func, args = plain, args[: -len(CUDNN_SETTINGS)]
        return func(*args, **(kwargs or {}))


CUDNN_SETTINGS = (False, False, False, False)
"""benchmark, deterministic, enabled, TF32: arguments of ``_convolution`` that change no count."""


def by_shape_on_meta(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Turn autocast off, or, on the meta device, which has none, let the trace work by shape."""
    if device.type == "meta":
        return _TracedByShape()
    return torch.autocast(device.type, enabled=False)


def trace(model: nn.Module, images: torch.Tensor) -> tuple[dict[str, Counter[str]], Places]:
    """Counts for the whole batch: module -> "kind/operator" -> count; "" is the model.

    ``images`` [B, C, px, px].  The second result is the operators that could not be counted:
    (operator, module) -> reason.  If there are any, the counts are incomplete.  Raises UserError
    if the model cannot take such images.
    """
    refused: Places = {}
    analysis = _analysis(model, images, refused)
    try:
        with torch.enable_grad(), by_shape_on_meta(images.device):
            counts = analysis.by_module_and_operator()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{type(model).__name__} cannot take images of {images.shape[-1]} px: {reason};\n"
            "choose another side (data.image_px=, or audit --resolution) or model"
        ) from error
    refused |= _unlisted({module: analysis.unsupported_ops(module) for module in counts})
    return dict(counts), refused


def _analysis(model: nn.Module, images: torch.Tensor, refused: Places) -> JitModelAnalysis:
    """fvcore's analysis with the handles of every list; it fills ``refused`` as it runs."""
    analysis = JitModelAnalysis(model, (images,))
    # Both are handled here, strictly; fvcore would only log them.
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("no_tracer_warning")
    # each caches its answers by value
    ancestries: Ancestries = {
        ask: Ancestry(ask) for ask in (is_image, grows_with_batch, is_trained)
    }
    for name, handle in operators.CONTRACTIONS.items():
        count = _contraction(name, handle, ancestries, images.shape[0], refused)
        analysis.set_op_handle(name, count)
    for name in operators.ELEMENTWISE:
        analysis.set_op_handle(name, _elementwise(name))
    for name in operators.FREE:
        analysis.set_op_handle(name, None)
    for name, position in operators.WRITES.items():
        analysis.set_op_handle(name, _write(name, position, ancestries, refused))
    for name, reason in operators.REFUSED.items():
        analysis.set_op_handle(name, _refusal(name, reason, refused))
    return analysis


def _contraction(
    name: str, handle: Handle, ancestries: Ancestries, batch: int, refused: Places
) -> _Counts:
    """fvcore handle that counts F, F1, B and constant operands for the whole batch."""
    plain = "conv" if "convolution" in name else name.removeprefix("aten::")

    def count(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        counts: Counter[str] = Counter()
        try:
            products = handle(inputs, outputs)
        except ValueError as error:
            refused[name, _module_of(outputs)] = str(error)
            return counts
        for product in products:
            for kind, macs in _account(product, ancestries, batch).items():
                counts[f"{kind}/{plain}"] += macs
        return counts

    return count


def _account(product: Product, ancestries: Ancestries, batch: int) -> dict[str, int]:
    """What one product adds to each kind of count, for the whole batch.

    An operand without trained weights among its ancestors reads the image (F1, once per product)
    or is constant.  An operand that has some, but whose gradient is cut, is neither, so that it
    violates ``B = 2F - F1 - constant``.
    """
    sides = (product.left, product.right)
    grows = any(map(ancestries[grows_with_batch], product.left + product.right))
    macs = product.macs if grows else product.macs * batch
    gradients = sum(any(map(_needs_gradient, side)) for side in sides)
    untrained = [side for side in sides if not any(map(ancestries[is_trained], side))]
    first = any(any(map(ancestries[is_image], side)) for side in untrained)
    return {
        FORWARD: macs,
        FIRST: macs * first,
        BACKWARD: macs * gradients,
        CONSTANT: macs * (len(untrained) - first),
    }


def _elementwise(name: str) -> _Counts:
    """fvcore handle that counts an operator's output elements; a scalar counts as none."""
    key = f"{ELEMENTS}/{name.removeprefix('aten::').rstrip('_')}"

    def count(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        sizes = get_shape(outputs[0])
        return Counter({key: torch.Size(sizes).numel()}) if sizes else Counter()

    return count


def _write(name: str, position: int, ancestries: Ancestries, refused: Places) -> _Counts:
    """fvcore handle that records a write whose values may need a gradient that it hides."""

    def note(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        written = inputs[position]
        varying = ancestries[is_image](written) or ancestries[is_trained](written)
        if varying and not _needs_gradient(inputs[0]):
            refused[name, _module_of(outputs)] = operators.HIDES_GRADIENT
        return Counter()

    return note


def _refusal(name: str, reason: str, refused: Places) -> _Counts:
    """fvcore handle that records where a refused operator occurs, and the reason."""

    def note(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        refused[name, _module_of(outputs)] = reason
        return Counter()

    return note


def _unlisted(found: Mapping[str, Counter[str]]) -> Places:
    """Operators on no list, by the module that runs them (not its ancestors)."""
    own = {module: Counter(kinds) for module, kinds in found.items()}
    for module, kinds in found.items():
        if module:
            own[module.rpartition(".")[0]].subtract(kinds)
    return {
        (kind, module): "on no list"
        for module, kinds in own.items()
        for kind, times in kinds.items()
        if times
    }


def _needs_gradient(value: Value) -> bool:
    """Whether autograd computes a gradient for ``value``, as recorded in the trace.

    The trace records the output of ``_convolution`` before autograd has marked it, so there the
    operands (input, weight, bias) decide.  For other operators that would be wrong under
    ``no_grad``.
    """
    if value.requires_grad():
        return True
    node = value.node()
    return node.kind() == "aten::_convolution" and any(
        operand.isCompleteTensor() and _needs_gradient(operand)
        for operand in itertools.islice(node.inputs(), 3)
    )


def _module_of(outputs: Sequence[Value]) -> str:
    """Name of the module that ran an operator: fvcore pushes it as the innermost scope."""
    return outputs[0].node().scopeName().rpartition("/")[2] if outputs else ""
