"""The best fit that never falls: isotonic regression by pooling adjacent violators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def isotonic(values: Sequence[float], weights: Sequence[float]) -> NDArray[np.float64]:
    """The non-decreasing sequence nearest to ``values`` in weighted least squares, as long.

    Neighbours in the wrong order are replaced by their weighted mean until none are left
    (Ayer et al. 1955).  Fractions weighted by their counts give the binomial likelihood's own
    maximum.  ``weights`` are positive and as many as ``values``, else ValueError.
    """
    if len(values) != len(weights) or any(weight <= 0 for weight in weights):
        raise ValueError("every value needs one positive weight")
    means: list[float] = []
    masses: list[float] = []
    lengths: list[int] = []
    for value, weight in zip(values, weights, strict=True):
        mean, mass, length = float(value), float(weight), 1
        while means and means[-1] >= mean:
            before = masses.pop()
            # written as a step from the mean before, so that equal values stay exactly equal
            mean = means[-1] + (mean - means.pop()) * (mass / (before + mass))
            mass += before
            length += lengths.pop()
        means.append(mean)
        masses.append(mass)
        lengths.append(length)
    return np.repeat(means, lengths)
