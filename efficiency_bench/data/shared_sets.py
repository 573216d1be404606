"""A set that the processes of one machine hold once: the first reads it, the others map its memory.

The memory has no name in any file system (Linux's memfd), so nothing is left behind however the
processes end.  Elsewhere than on Linux every process reads the set for itself.
"""

from __future__ import annotations

import math
import os
import sys
import weakref
from typing import Any

import torch
from torch import Tensor

from efficiency_bench.data.image_set import DataSplits, ImageSet

POSSIBLE = sys.platform == "linux"


class Offer:
    """Sets in memory that other processes of this user and machine can map while this lives."""

    def __init__(self, splits: DataSplits) -> None:
        """Copies ``splits`` once, into memory that can be shared: use ``self.splits`` instead."""
        self.where: dict[str, Any] = {}
        """What ``taken`` needs in another process; plain JSON."""
        self.splits = DataSplits(
            train=self._share("train", splits.train), val=self._share("val", splits.val)
        )

    def _share(self, name: str, images: ImageSet) -> ImageSet:
        pixels = self._copied(images.images)
        labels = self._copied(images.labels)
        self.where[name] = {"pixels": pixels[1], "labels": labels[1], "classes": images.classes}
        return ImageSet(pixels[0], labels[0], images.classes)

    def _copied(self, values: Tensor) -> tuple[Tensor, dict[str, Any]]:
        descriptor = os.memfd_create("efficiency-bench-set")
        weakref.finalize(self, os.close, descriptor)
        os.ftruncate(descriptor, values.numel() * values.element_size())
        where = {"path": f"/proc/{os.getpid()}/fd/{descriptor}", "shape": list(values.shape)}
        copy = _mapped(where, values.dtype)
        copy.copy_(values)
        return copy, where


def taken(where: dict[str, Any]) -> DataSplits | None:
    """The sets of another process's Offer; None where its memory cannot be reached from here."""
    try:
        train, val = (
            ImageSet(
                _mapped(part["pixels"], torch.uint8),
                _mapped(part["labels"], torch.int64),
                tuple(part["classes"]),
            )
            for part in (where["train"], where["val"])
        )
    except (OSError, RuntimeError):  # another process namespace, or another user's
        return None
    return DataSplits(train, val)


def _mapped(where: dict[str, Any], dtype: torch.dtype) -> Tensor:
    """The tensor whose memory that file is."""
    shape = where["shape"]
    flat = torch.from_file(where["path"], shared=True, size=math.prod(shape), dtype=dtype)
    return flat.view(shape)
