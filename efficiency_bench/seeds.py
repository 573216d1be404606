"""Seeds of everything random in a run: weights, order, augmentation, dropout of a rank."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: int | str) -> int:
    """A seed in [0, 2^63) from a hash of ``parts``, such as (seed, "augment", epoch, step).

    So order and augmentation depend only on the position in training, not on what ran before, on
    the number of workers or on a resume.
    """
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
