"""One strict trace of a model by fvcore: counts of the whole batch, by module."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from efficiency_bench.counting import handles as fvcore
from efficiency_bench.counting import operators
from efficiency_bench.counting.handles import Handle, Product, Value, constant
from efficiency_bench.counting.operators import SIZES
from efficiency_bench.errors import UserError

ENDS = SIZES | {"prim::Param"}
"""Nodes that the search does not look behind."""


class Ancestry:
    """Whether a value of the graph, or anything it was computed from, is one of the ``roots``.

    Sizes end the search: a table as large as the image holds nothing of the image.
    """

    def __init__(self, is_root: Callable[[Value], bool]) -> None:
        self._is_root = is_root
        self._known: dict[str, bool] = {}

    def __call__(self, value: Value) -> bool:
        """Answer for ``value``; each value of a graph is looked at once."""
        # With a stack of its own: a deep network's graph is deeper than Python's.
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
    """Whether ``value`` is the images, the graph's first input."""
    node = value.node()
    return node.kind() == "prim::Param" and value.debugName() == next(node.outputs()).debugName()


def grows_with_batch(value: Value) -> bool:
    """Whether ``value`` is the images or their number: a size, unless of a later dimension."""
    node = value.node()
    if node.kind() == "aten::size":
        return constant(node, 1) in (0, None)
    return is_image(value) or node.kind() in SIZES - {"aten::dim"}


def is_trained(value: Value) -> bool:
    """Whether ``value`` is a parameter that needs a gradient; the images need none."""
    return value.node().kind() == "prim::Param" and bool(value.requires_grad())


# A handle may return several named counts, and fvcore adds each up by module: so one trace
# gives all five quantities, told apart by these prefixes.
FORWARD, FIRST, BACKWARD, CONSTANT = "forward", "first", "backward", "constant"
ELEMENTS = "elements"

_Counts = Callable[[Sequence[Value], Sequence[Value]], Counter[str]]
Places = dict[tuple[str, str], str]
"""(operator, module) -> why it is refused."""


SHOWN_PLACES = 4
"""Operators with their modules in a refusal: a network repeats its blocks."""


class UncountedOperatorError(UserError):
    """An operator stands on no list, so the count cannot be trusted; the message names it."""

    def __init__(self, found: Mapping[tuple[str, str], str]) -> None:
        self.found = dict(found)
        """(operator, module) -> why it is refused."""
        shown = [
            f"{operator} in {f'module {module}' if module else 'the model itself'} ({reason})"
            for (operator, module), reason in sorted(found.items())
        ]
        if len(shown) > SHOWN_PLACES:
            shown[SHOWN_PLACES:] = [f"and {len(shown) - SHOWN_PLACES} places more"]
        places = "; ".join(shown)
        super().__init__(
            f"cannot count this model: {places}.\nAn operator is counted once it stands on a"
            " list of efficiency_bench/counting/operators.py, a contraction with its handle"
        )


def trace(model: nn.Module, images: torch.Tensor) -> tuple[dict[str, Counter[str]], Places]:
    """Counts for the whole batch: module -> "kind/operator" -> count; "" is the model.

    ``images`` [B, C, px, px].  The second result are the operators that could not be counted,
    with the reason: (operator, module) -> why.  Where there are any, the counts are no account.
    Raises UserError where the model cannot take such images.
    """
    refused: Places = {}
    analysis = _analysis(model, images, refused)
    try:
        with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
            counts = analysis.by_module_and_operator()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{type(model).__name__} cannot take images of {images.shape[-1]} px: {reason}"
        ) from error
    refused |= _unlisted({module: analysis.unsupported_ops(module) for module in counts})
    return dict(counts), refused


def _analysis(model: nn.Module, images: torch.Tensor, refused: Places) -> fvcore.JitModelAnalysis:
    """fvcore's analysis with every list's handles; refusals land in ``refused``."""
    analysis = fvcore.JitModelAnalysis(model, (images,))
    # Both are handled here, strictly; fvcore would only log them.
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("no_tracer_warning")
    ancestries = _Ancestries()
    for name, handle in operators.CONTRACTIONS.items():
        count = _contraction(name, handle, ancestries, images.shape[0], refused)
        analysis.set_op_handle(name, count)
    for name in operators.ELEMENTWISE:
        analysis.set_op_handle(name, _elementwise(name))
    for name in operators.FREE:
        analysis.set_op_handle(name, None)
    for name, reason in operators.REFUSED.items():
        analysis.set_op_handle(name, _refusal(name, reason, refused))
    return analysis


class _Ancestries:
    """The questions asked of a contraction's operands, each answered once a value."""

    def __init__(self) -> None:
        self.reads_image = Ancestry(is_image)
        self.grows_with_batch = Ancestry(grows_with_batch)
        self.is_behind_weights = Ancestry(is_trained)


def _contraction(
    name: str, handle: Handle, ancestries: _Ancestries, batch: int, refused: Places
) -> _Counts:
    """fvcore handle with F, F1, B and constant operands of a contraction for the whole batch."""
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


def _account(product: Product, ancestries: _Ancestries, batch: int) -> dict[str, int]:
    """What one product adds to each kind of count, for the whole batch.

    A side without gradient that no weights were trained for reads the image (F1, once a
    product) or is constant.  A side behind weights, cut from their gradient, is neither, so that
    it shows in ``B = 2F - F1 - constant``.
    """
    sides = (product.left, product.right)
    grows = any(map(ancestries.grows_with_batch, product.left + product.right))
    macs = product.macs if grows else product.macs * batch
    gradients = sum(any(map(_needs_gradient, side)) for side in sides)
    untrained = [side for side in sides if not any(map(ancestries.is_behind_weights, side))]
    first = any(any(map(ancestries.reads_image, side)) for side in untrained)
    return {
        FORWARD: macs,
        FIRST: macs * first,
        BACKWARD: macs * gradients,
        CONSTANT: macs * (len(untrained) - first),
    }


def _elementwise(name: str) -> _Counts:
    """fvcore handle with the output elements of an operator; a lone number counts as none."""
    key = f"{ELEMENTS}/{name.removeprefix('aten::').rstrip('_')}"

    def count(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        sizes = fvcore.get_shape(outputs[0])
        return Counter({key: torch.Size(sizes).numel()}) if sizes else Counter()

    return count


def _refusal(name: str, reason: str, refused: Places) -> _Counts:
    """fvcore handle that notes where an operator occurs, and why it is refused."""

    def note(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        refused[name, _module_of(outputs)] = reason
        return Counter()

    return note


def _unlisted(found: Mapping[str, Counter[str]]) -> Places:
    """Operators on no list by the module that runs them, not its ancestors."""
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
    """Whether autograd computes a gradient for ``value``: the trace records it, but for one.

    The output of ``_convolution`` is recorded before autograd has marked it; there the operands
    (input, weight, bias) tell.  Following all operators so would be wrong under ``no_grad``.
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
