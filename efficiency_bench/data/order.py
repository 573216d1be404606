"""Which images meet at which step: pure functions of seed, epoch and step.

Nothing here depends on workers, on the device or on where a run was resumed.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def derived_seed(*parts: int | str) -> int:
    """A seed below 2^63 that no other ``parts`` share but by chance: the start of a SHA-256.

    Neighbouring seeds give unrelated streams, which adding numbers up would not.
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A generator seeded from ``parts``.

    It is the CPU's: the few numbers that a batch draws are the same on every device then.
    """
    return torch.Generator().manual_seed(derived_seed(*parts))


def step_generator(seed: int, epoch: int, step: int) -> torch.Generator:
    """The generator of one step's augmentation; ``step`` counts from the epoch's start."""
    return generator("step", seed, epoch, step)


def epoch_order(seed: int, epoch: int, images: int) -> Tensor:
    """The order in which one epoch visits its images: a permutation, int64 [images]."""
    return torch.randperm(images, generator=generator("order", seed, epoch))


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps in which every image comes once, the last partial batch included.

    A remainder of one image joins the batch before it, because batch norm needs two values.
    """
    steps, rest = divmod(images, batch_size)
    return steps + (rest > 1 or (rest == 1 and steps == 0))


def batch_range(images: int, batch_size: int, step: int) -> slice:
    """Places in the epoch's order that ``step`` covers."""
    last = step == steps_per_epoch(images, batch_size) - 1
    return slice(step * batch_size, images if last else (step + 1) * batch_size)
