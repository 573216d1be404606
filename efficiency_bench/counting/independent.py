"""The second counter: watches the operators of a real training step as the dispatcher runs them.

It shares nothing with the trace: the step runs forward and backward on a copy of the model, and
every contraction is charged by ``formulas`` from the shapes it ran with.  Whatever runs twice
(SAM's second pass, a teacher's forward, a recomputed block) is charged twice.
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
    """Multiply-adds of one step for its whole batch, forward and backward apart."""

    forward_by_operator: Mapping[str, int] = field(hash=False)
    """Operator of the dispatcher -> MACs outside autograd's backward pass."""
    backward_by_operator: Mapping[str, int] = field(hash=False)
    """Operator of the dispatcher -> MACs inside it, recomputation included."""
    by_module: Mapping[str, int] = field(hash=False)
    """Innermost module of the watched model -> forward MACs; "" for what runs outside."""
    without_formula: Mapping[tuple[str, str], int] = field(hash=False)
    """(operator, module) -> calls of what may hold products that nobody counts."""
    constant: bool
    """Whether a forward product took no part of ``images``: it costs a batch as one image."""

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
    """Run ``step`` once and count what it computes, on any device, however many its passes.

    ``model`` gives the modules their names; ``images`` are the tensors whose descendants tell
    whether a product depends on the images at all; ``draw`` replaces torch's random numbers by
    their lowest or highest possible values.  The step has all its usual effects (on gradients,
    batch-norm statistics, random generators): pass one that works on a copy.
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
    """Count forward and backward MACs of one image in a step of cross-entropy on ``model``.

    A deep copy runs in train mode, in fp32, on the model's device, with ``batch`` random images
    of ``image_shape`` (channels, px, px) and random labels; the loss adds up all outputs, so
    auxiliary heads take part.  The model and the random generators stay as they were.

    Products that no image takes part in (of a table of positions) are charged in full to every
    image, as in a batch of one; that takes a second step with another batch to tell.  Raises
    UserError for outputs that the training step cannot take, and where MACs do not divide by
    the images.
    """
    first = TrainingCopy(model, image_shape).step(batch)
    if not first.constant:
        return per_image(first, batch)
    return per_image(first, batch, TrainingCopy(model, image_shape).step(batch + 1))


class TrainingCopy:
    """A copy of a model in train mode and fp32, on which one step after another is counted."""

    def __init__(self, model: nn.Module, image_shape: tuple[int, int, int]) -> None:
        self.name = type(model).__name__
        self.image_shape = image_shape
        with torch.inference_mode(False):
            self.model = copy.deepcopy(model).float().train()
        parameter = next(model.parameters(), None)
        self.device = torch.device("cpu") if parameter is None else parameter.device

    def step(self, batch: int, draw: draws.Draw = "random", *, backward: bool = True) -> StepCount:
        """The whole batch's count of one step, or of its forward pass alone."""
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(self.device.type, enabled=False),
        ):
            images = torch.rand(batch, *self.image_shape, device=self.device)

            def step() -> None:
                loss = _loss(self.model(images), self.name)
                if backward and loss.requires_grad:
                    loss.backward()

            return count_step(step, self.model, (images,), draw)


def per_image(first: StepCount, batch: int, second: StepCount | None = None) -> StepCount:
    """One image's count from a step of ``batch`` images, and from one of an image more.

    The second step is needed where products take no part of the images (``first.constant``).
    Raises UserError where MACs do not divide by the images.
    """
    if second is None:
        return _combined(first, lambda total, _: _divided(total, batch), first)

    def one_image(total: int, more: int) -> int:
        share = more - total
        return share + total - batch * share

    return _combined(first, one_image, second)


def _loss(output: object, name: str) -> Tensor:
    """Cross-entropy on random labels, summed over the outputs: the logits, then other heads'."""
    heads = (output,) if isinstance(output, Tensor) else output
    if not isinstance(heads, tuple | list) or not all(
        isinstance(head, Tensor) and head.dim() == 2 for head in heads
    ):
        raise UserError(
            f"{name} returns {_described(output)} in train mode; a network here returns logits"
            " (batch, classes), or a tuple of them, the main logits first"
        )
    total = torch.zeros((), device=heads[0].device)
    for logits in heads:
        labels = torch.randint(logits.shape[1], logits.shape[:1], device=logits.device)
        total = total + F.cross_entropy(logits, labels)
    return total


def _described(output: object) -> str:
    """An output's type and, where it is a tensor or holds some, their shapes."""
    shapes = [tuple(leaf.shape) for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    return f"a {type(output).__name__} of shapes {', '.join(map(str, shapes)) or 'none'}"


def _divided(total: int, batch: int) -> int:
    share, rest = divmod(total, batch)
    if rest:
        raise UserError(
            f"{total} MACs for {batch} images are no whole number an image, so this model's"
            " compute is not proportional to the images"
        )
    return share


def _combined(first: StepCount, combine: Callable[[int, int], int], second: StepCount) -> StepCount:
    """A count whose every number is ``combine`` of two counts'."""

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
        """Keep the names of the modules whose forward is running, the innermost last."""

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
            # Without autograd nobody has taken linear, matmul and the like apart yet.
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
        """What is computed from the images' descendants descends from the images."""
        if any(self._is_from_images(leaf) for leaf in tree_leaves(inputs)):
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor):
                    self._from_images[leaf] = True


def _node_name() -> str:
    node = torch._C._current_autograd_node()
    return "" if node is None else node.name()
