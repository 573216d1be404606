"""Balanced subsets: a part of each class, drawn by a fixed seed, the same for every run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from efficiency_bench.errors import UserError

SUBSET_SEED = 20200508
"""Fixed (the day of arXiv:2005.04305), so that a subset is a property of the data."""


def balanced_indices(labels: Sequence[int], classes: int, count: int, key: str) -> list[int]:
    """Indices (ascending) of ``count`` images, as many of each class as whole numbers allow.

    Where ``count`` is no multiple of ``classes`` the first classes have one image more; all
    images are taken, balanced or not, where ``count`` is their number.
    Raises UserError, naming the setting ``key``, where that many cannot be drawn.
    """
    if not classes <= count <= len(labels):
        raise UserError(
            f"{key}={count} is not between {classes} (one a class) and {len(labels)} (all)"
        )
    if count == len(labels):
        return list(range(count))
    generator = np.random.default_rng(SUBSET_SEED)
    of_label = np.asarray(labels)
    drawn = []
    for label in range(classes):
        want = count // classes + (label < count % classes)
        members = generator.permutation(np.flatnonzero(of_label == label))
        if len(members) < want:
            raise UserError(
                f"{key}={count} needs {want} images of class {label}, which has "
                f"{len(members)}; name at most {len(members) * classes}"
            )
        drawn.append(members[:want])
    return np.sort(np.concatenate(drawn)).tolist()
