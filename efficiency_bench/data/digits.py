"""scikit-learn's handwritten digits at 16 px, which need no download."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from efficiency_bench.data.image_set import DataSplits, ImageSet

SIDE_PX = 16
"""The scans have 8 px; doubled so that networks with several strides keep a feature map."""

SCAN_MAXIMUM = 16
"""Grey levels of the scans run from 0 to this (scikit-learn's description of the set)."""

VALIDATION_IMAGES = 360
"""A fifth of the 1,797 scans; 36 per class."""

SPLIT_SEED = 20120601
"""Fixed, so that every seed uses the same split."""


def load() -> DataSplits:
    """1,437 training and 360 validation images, uint8 [N, 3, 16, 16].

    The scans are scaled to 0..255 and bilinearly doubled in size.  The grey channel is repeated
    three times so that every network accepts it unchanged; the first layer's MACs count all three.
    """
    scans, labels = load_digits(return_X_y=True)
    grey = torch.from_numpy(scans).float().reshape(-1, 1, 8, 8) * (255 / SCAN_MAXIMUM)
    doubled = F.interpolate(grey, size=SIDE_PX, mode="bilinear", align_corners=False)
    images = doubled.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    whole = ImageSet(images, torch.from_numpy(labels).long(), tuple(str(d) for d in range(10)))
    val = _validation_indices(whole.labels)
    is_train = torch.ones(len(whole), dtype=torch.bool)
    is_train[val] = False
    return DataSplits(train=whole.subset(is_train.nonzero().flatten()), val=whole.subset(val))


def _validation_indices(labels: Tensor) -> Tensor:
    """Indices of a fixed, balanced sample for validation (int64 [360], ascending)."""
    generator = np.random.default_rng(SPLIT_SEED)
    each = VALIDATION_IMAGES // 10
    drawn = [
        generator.permutation(np.flatnonzero(labels.numpy() == digit))[:each] for digit in range(10)
    ]
    return torch.from_numpy(np.sort(np.concatenate(drawn))).long()
