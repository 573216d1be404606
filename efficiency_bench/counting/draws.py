"""Replace random numbers by the ends of their range, to expose graphs that depend on a draw.

A network that skips a layer if ``torch.rand(1) < 0.1`` does so in one step of ten.  One step with
every number at its lowest and one with every number at its highest run both of its graphs.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Draw = Literal["random", "lowest", "highest"]
"""Random numbers as drawn, or each at one end of its range."""

STANDARD_DEVIATIONS = 3.0
"""The range assumed for a normal distribution, on either side of its mean."""

MOST_REPLACED = 1_000
"""Replaced calls per step: later draws are random, so that loops that wait for one can end."""

Arguments = Mapping[str, Any]


def _uniform(given: Arguments, result: Tensor) -> tuple[Any, Any]:
    low, high = given.get("from", 0.0), given.get("to", 1.0)
    return low, high - (high - low) * torch.finfo(result.dtype).eps


def _integers(given: Arguments, result: Tensor) -> tuple[Any, Any]:
    low, high = given.get("low", given.get("from", 0)), given.get("high", given.get("to"))
    return (result, result) if high is None else (low or 0, high - 1)


def _bernoulli(given: Arguments, result: Tensor) -> tuple[Any, Any]:
    chance = torch.as_tensor(given.get("p", given["self"]), device=result.device)
    return chance >= 1, chance > 0  # chances of 0 and 1 keep their only outcome


def _normal(given: Arguments, result: Tensor) -> tuple[Any, Any]:
    mean, deviation = given.get("mean", 0.0), given.get("std", 1.0)
    return mean - STANDARD_DEVIATIONS * deviation, mean + STANDARD_DEVIATIONS * deviation


_ENDS: Mapping[str, Callable[[Arguments, Tensor], tuple[Any, Any]]] = {
    "aten::rand": _uniform,
    "aten::rand_like": _uniform,
    "aten::uniform": _uniform,
    "aten::randint": _integers,
    "aten::randint_like": _integers,
    "aten::random": _integers,
    "aten::bernoulli": _bernoulli,
    "aten::randn": _normal,
    "aten::randn_like": _normal,
    "aten::normal": _normal,
}
"""Dispatcher operator -> the lowest and the highest value that it can draw."""


def replace(
    schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any, draw: Draw
) -> bool:
    """Overwrite random numbers in ``result`` with an end of their range; True if there were any.

    ``schema``, ``args`` and ``kwargs`` are those of the dispatcher call that drew them.
    """
    ends = _ENDS.get(schema.name.rstrip("_"))
    if draw == "random" or ends is None:
        return False
    given = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    given |= dict(zip((a.name for a in schema.arguments), args, strict=False)) | dict(kwargs)
    lowest, highest = ends(given, result)
    result.copy_(torch.as_tensor(lowest if draw == "lowest" else highest, device=result.device))
    return True


@contextlib.contextmanager
def foreign_generators() -> Iterator[list[str]]:
    """Yield a list that names, on exit, which of Python's and NumPy's generators were used.

    Both are restored.
    """
    drawn: list[str] = []
    pythons, numpys = random.getstate(), np.random.get_state()
    try:
        yield drawn
    finally:
        if random.getstate() != pythons:
            drawn.append("Python's random")
        if repr(np.random.get_state()) != repr(numpys):
            drawn.append("NumPy's random")
        random.setstate(pythons)
        np.random.set_state(numpys)
