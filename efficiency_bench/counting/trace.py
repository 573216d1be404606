"""One strict trace of a model by fvcore: counts of the whole batch, by module."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from efficiency_bench.counting import fvcore_import as fvcore
from efficiency_bench.counting import operators
from efficiency_bench.counting.handles import Handle, Value
from efficiency_bench.errors import UserError

# A handle may return several named counts, and fvcore adds each up by module: so one trace
# gives all four quantities, told apart by these prefixes.
FORWARD, FIRST, BACKWARD, ELEMENTS = "forward", "first", "backward", "elements"

_Counts = Callable[[Sequence[Value], Sequence[Value]], Counter[str]]
_Places = dict[tuple[str, str], str]


class UncountedOperatorError(UserError):
    """An operator stands on no list, so the count cannot be trusted; the message names it."""

    def __init__(self, found: Mapping[tuple[str, str], str]) -> None:
        self.found = dict(found)
        """(operator, module) -> why it is refused."""
        places = "; ".join(
            f"{operator} in {f'module {module}' if module else 'the model itself'} ({reason})"
            for (operator, module), reason in sorted(found.items())
        )
        super().__init__(
            f"cannot count this model: {places}.\nAn operator is counted once it stands on a"
            " list of efficiency_bench/counting/operators.py, a contraction with its handle"
        )


def trace(model: nn.Module, images: torch.Tensor) -> dict[str, Counter[str]]:
    """Counts for the whole batch: module -> "kind/operator" -> count; "" is the model.

    ``images`` [B, C, px, px].  Raises UncountedOperatorError, and UserError where the model
    cannot take such images.
    """
    refused: _Places = {}
    analysis = _analysis(model, images, refused)
    try:
        with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
            counts = analysis.by_module_and_operator()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{type(model).__name__} cannot take images of {images.shape[-1]} px: {reason}"
        ) from error
    refused |= _unlisted({module: analysis.unsupported_ops(module) for module in counts})
    if refused:
        raise UncountedOperatorError(refused)
    return dict(counts)


def _analysis(model: nn.Module, images: torch.Tensor, refused: _Places) -> fvcore.JitModelAnalysis:
    """fvcore's analysis with every list's handles; refusals land in ``refused``."""
    analysis = fvcore.JitModelAnalysis(model, (images,))
    # Both are handled here, strictly; fvcore would only log them.
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("no_tracer_warning")
    from_image = _ImageAncestry()
    for name, handle in operators.CONTRACTIONS.items():
        count = _contraction(name, handle, from_image, images.shape[0], refused)
        analysis.set_op_handle(name, count)
    for name in operators.ELEMENTWISE:
        analysis.set_op_handle(name, _elementwise(name))
    for name in operators.FREE:
        analysis.set_op_handle(name, None)
    for name, reason in operators.REFUSED.items():
        analysis.set_op_handle(name, _refusal(name, reason, refused))
    return analysis


class _ImageAncestry:
    """Whether a traced value was computed from the image, the graph's first input."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}

    def __call__(self, value: Value) -> bool:
        # With a stack of its own: a deep network's graph is deeper than Python's.
        stack = [value]
        while stack:
            name, node = stack[-1].debugName(), stack[-1].node()
            if name in self._known:
                stack.pop()
            elif node.kind() == "prim::Param":
                self._known[name] = name == next(node.outputs()).debugName()
            else:
                inputs = list(node.inputs())
                unknown = [i for i in inputs if i.debugName() not in self._known]
                stack.extend(unknown)
                if not unknown:
                    self._known[name] = any(self._known[i.debugName()] for i in inputs)
        return self._known[value.debugName()]


def _contraction(
    name: str, handle: Handle, from_image: _ImageAncestry, batch: int, refused: _Places
) -> _Counts:
    """fvcore handle with F, F1 and B of a contraction for the whole batch."""
    plain = "conv" if "convolution" in name else name.removeprefix("aten::")

    def count(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        counts: Counter[str] = Counter()
        try:
            products = handle(inputs, outputs)
        except ValueError as error:
            refused[name, _module_of(outputs)] = str(error)
            return counts
        for macs, *operands in products:
            sides = [
                (any(map(_needs_gradient, side)), any(map(from_image, side))) for side in operands
            ]
            charged = macs if any(image for _, image in sides) else macs * batch
            counts[f"{FORWARD}/{plain}"] += charged
            counts[f"{BACKWARD}/{plain}"] += charged * sum(gradient for gradient, _ in sides)
            if any(image and not gradient for gradient, image in sides):
                counts[f"{FIRST}/{plain}"] += charged
        return counts

    return count


def _elementwise(name: str) -> _Counts:
    """fvcore handle with the output elements of an operator; a lone number counts as none."""
    key = f"{ELEMENTS}/{name.removeprefix('aten::').rstrip('_')}"

    def count(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        sizes = fvcore.get_shape(outputs[0])
        return Counter({key: torch.Size(sizes).numel()}) if sizes else Counter()

    return count


def _refusal(name: str, reason: str, refused: _Places) -> _Counts:
    """fvcore handle that notes where an operator occurs, and why it is refused."""

    def note(inputs: Sequence[Value], outputs: Sequence[Value]) -> Counter[str]:
        refused[name, _module_of(outputs)] = reason
        return Counter()

    return note


def _unlisted(found: Mapping[str, Counter[str]]) -> _Places:
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
