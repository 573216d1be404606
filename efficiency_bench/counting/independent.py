"""The independent counter: records the operators of a real training step at torch's dispatcher.

It shares nothing with the trace: the step runs forward and backward on a copy of the model, and
``formulas`` charges every contraction from its actual shapes.  Everything that runs is charged,
as often as it runs: SAM's second pass, a teacher's forward, a recomputed block.
"""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from efficiency_bench.counting import draws
from efficiency_bench.counting.formulas import FORMULAS, OUTER_PRODUCT_NODES, WITHOUT_FORMULA
from efficiency_bench.errors import UserError


@dataclass(frozen=True)
class StepCount:
    """Multiply-adds of one step for its whole batch, forward and backward separately."""

    forward_by_operator: Mapping[str, int] = field(hash=False)
    """Dispatcher operator -> MACs outside autograd's backward pass."""
    backward_by_operator: Mapping[str, int] = field(hash=False)
    """Dispatcher operator -> MACs inside the backward pass, recomputation included."""
    by_module: Mapping[str, int] = field(hash=False)
    """Innermost module of the model -> forward MACs; "" for what runs outside any."""
    without_formula: Mapping[tuple[str, str], int] = field(hash=False)
    """(operator, module) -> calls of operators whose contractions have no formula."""
    constant: bool
    """Whether some forward product does not depend on ``images``: its cost is per step."""

    @property
    def forward_macs(self) -> int:
        """MACs of all forward passes."""
        return sum(self.forward_by_operator.values())

    @property
    def backward_macs(self) -> int:
        """MACs of all backward passes."""
        return sum(self.backward_by_operator.values())


def count_step(
    step: Callable[[], object],
    model: nn.Module | None = None,
    images: Sequence[Tensor] = (),
    draw: draws.Draw = "random",
) -> StepCount:
    """Run ``step`` once and count what it computes, on any device and with any number of passes.

    ``model`` gives the modules their names.  ``images`` are the tensors from which it is tracked
    whether a product depends on the images.  ``draw`` replaces torch's random numbers by their
    lowest or highest possible values.  The step has all its usual effects (on gradients,
    batch-norm statistics, random generators), so pass one that works on a copy.
    """
    recorder = _Recorder(model, images, draw)
    with recorder.following_modules(), recorder:
        step()
    return StepCount(
        forward_by_operator=dict(sorted(recorder.forward.items())),
        backward_by_operator=dict(sorted(recorder.backward.items())),
        by_module=dict(recorder.modules),
        without_formula=dict(recorder.without_formula),
        constant=recorder.constant,
    )


def count_training_step(
    model: nn.Module, image_shape: tuple[int, int, int], batch: int = 2
) -> StepCount:
    """Count forward and backward MACs per image in a cross-entropy step of ``model``.

    A deep copy runs in train mode, in fp32, on the model's device, with ``batch`` random images
    of ``image_shape`` (channels, px, px) and random labels; the loss is the sum over all outputs,
    auxiliary heads included.  The model and the random generators do not change.

    Products that do not involve the images (of a position table) are charged in full to every
    image, as in a batch of one; a second step with another batch size separates them.  Raises
    UserError for outputs that the training step cannot use, and if the MACs are not a multiple of
    the number of images.
    """
    first = TrainingCopy(model, image_shape).step(batch)
    if not first.constant:
        return per_image(first, batch)
    return per_image(first, batch, TrainingCopy(model, image_shape).step(batch + 1))


class TrainingCopy:
    """A copy of a model in train mode and fp32, on which consecutive steps are counted."""

    def __init__(self, model: nn.Module, image_shape: tuple[int, int, int]) -> None:
        self.name = type(model).__name__
        self.image_shape = image_shape
        with torch.inference_mode(False):
            self.model = copy.deepcopy(model).float().train()
        parameter = next(model.parameters(), None)
        self.device = torch.device("cpu") if parameter is None else parameter.device

    def step(self, batch: int, draw: draws.Draw = "random", *, backward: bool = True) -> StepCount:
        """The count of one step for the whole batch, or of its forward pass alone."""
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
            torch.inference_mode(False),
            torch.enable_grad(),
            _without_autocast(self.device),
        ):
            images = torch.rand(batch, *self.image_shape, device=self.device)

            def step() -> None:
                loss = _loss(self.model(images), self.name)
                if backward and loss.requires_grad:
                    loss.backward()

            return count_step(step, self.model, (images,), draw)


def _without_autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Turn autocast off; the meta device has none."""
    if device.type == "meta":
        return contextlib.nullcontext()
    return torch.autocast(device.type, enabled=False)


def per_image(first: StepCount, batch: int, second: StepCount | None = None) -> StepCount:
    """The count per image, from a step of ``batch`` images and one of ``batch + 1``.

    The second step is needed if some products do not depend on the images (``first.constant``).
    Raises UserError if the MACs are not a multiple of the number of images.
    """
    if second is None:
        return _combined(first, lambda total, _: _divided(total, batch), first)

    def one_image(total: int, more: int) -> int:
        increment = more - total
        return increment + total - batch * increment

    return _combined(first, one_image, second)


def _loss(output: object, name: str) -> Tensor:
    """Cross-entropy on random labels, summed over the outputs (main logits, auxiliary heads)."""
    heads = (output,) if isinstance(output, Tensor) else output
    if not isinstance(heads, tuple | list) or not all(
        isinstance(head, Tensor) and head.dim() == 2 for head in heads
    ):
        raise UserError(
            f"{name} returns {_described(output)} in train mode; a network must return logits"
            " (batch, classes), or a tuple of them, the main logits first; change its forward, or"
            " choose another model"
        )
    total = torch.zeros((), device=heads[0].device)
    for logits in heads:
        labels = torch.randint(logits.shape[1], logits.shape[:1], device=logits.device)
        total = total + F.cross_entropy(logits, labels)
    return total


def _described(output: object) -> str:
    """An output's type and the shapes of its tensors."""
    shapes = [tuple(leaf.shape) for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    return f"a {type(output).__name__} of shapes {', '.join(map(str, shapes)) or 'none'}"


def _divided(total: int, batch: int) -> int:
    quotient, rest = divmod(total, batch)
    if rest:
        raise UserError(
            f"{total} MACs for {batch} images is not a whole number per image, so this model's"
            " compute is not proportional to the images\n"
            "choose another model; this one cannot be counted"
        )
    return quotient


def _combined(first: StepCount, combine: Callable[[int, int], int], second: StepCount) -> StepCount:
    """The count that applies ``combine`` to each pair of numbers of two counts."""

    def both(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
        return {key: combine(one.get(key, 0), two.get(key, 0)) for key in sorted({*one, *two})}

    return StepCount(
        both(first.forward_by_operator, second.forward_by_operator),
        both(first.backward_by_operator, second.backward_by_operator),
        both(first.by_module, second.by_module),
        first.without_formula,
        first.constant,
    )


class _Recorder(TorchDispatchMode):
    """Charges every contraction to its operator, to forward or backward, and to its module."""

    def __init__(self, model: nn.Module | None, images: Sequence[Tensor], draw: draws.Draw) -> None:
        super().__init__()
        self._draw = draw
        self._replaced = 0
        self.forward: Counter[str] = Counter()
        self.backward: Counter[str] = Counter()
        self.modules: Counter[str] = Counter()
        self.without_formula: Counter[tuple[str, str]] = Counter()
        self.constant = False
        self._names = {} if model is None else {id(m): name for name, m in model.named_modules()}
        self._inside: list[str] = []
        self._from_images = WeakIdKeyDictionary()
        for image in images:
            self._from_images[image] = True

    @contextlib.contextmanager
    def following_modules(self) -> Iterator[None]:
        """Track the names of the modules whose forward is running, innermost last."""

        def enter(module: nn.Module, inputs: object) -> None:
            outer = self._inside[-1] if self._inside else ""
            self._inside.append(self._names.get(id(module), outer))

        def leave(module: nn.Module, inputs: object, output: object) -> None:
            self._inside.pop()

        before = module_hooks.register_module_forward_pre_hook(enter)
        after = module_hooks.register_module_forward_hook(leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, then charge it."""
        name = func._schema.name
        if torch.is_inference_mode_enabled() and name not in FORMULAS:
            # Without autograd, linear, matmul and the like have not been decomposed yet.
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        result = func(*args, **(kwargs or {}))
        if self._replaced < draws.MOST_REPLACED:
            self._replaced += draws.replace(func._schema, args, kwargs or {}, result, self._draw)
        in_backward = torch._C._current_graph_task_id() != -1
        self._charge(name.rstrip("_"), args, result, in_backward)
        if self._from_images and not in_backward:
            self._inherit((args, kwargs), result)
        return result

    def _charge(self, name: str, args: Sequence[Any], result: Any, in_backward: bool) -> None:
        module = self._inside[-1] if self._inside else ""
        formula = FORMULAS.get(name)
        if formula is not None:
            macs = formula(args, result)
        elif in_backward and name == "aten::mul" and _node_name() in OUTER_PRODUCT_NODES:
            macs = result.numel()
        else:
            if name in WITHOUT_FORMULA or not name.startswith(("aten::", "prim::", "prims::")):
                self.without_formula[name, module] += 1
            return
        operator = name.removeprefix("aten::")
        if in_backward:
            self.backward[operator] += macs
            return
        self.forward[operator] += macs
        self.modules[module] += macs
        if not any(self._is_from_images(arg) for arg in args):
            self.constant = True

    def _is_from_images(self, value: object) -> bool:
        return isinstance(value, Tensor) and value in self._from_images

    def _inherit(self, inputs: object, result: object) -> None:
        """Mark ``result`` as dependent on the images if any input is."""
        if any(self._is_from_images(leaf) for leaf in tree_leaves(inputs)):
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor):
                    self._from_images[leaf] = True


def _node_name() -> str:
    node = torch._C._current_autograd_node()
    return "" if node is None else node.name()
