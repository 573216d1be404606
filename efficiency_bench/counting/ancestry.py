"""What a traced value was computed from: the image, the number of images, or trained weights."""

from __future__ import annotations

from collections.abc import Callable

from efficiency_bench.counting.handles import Value, constant
from efficiency_bench.counting.operators import SIZES

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
