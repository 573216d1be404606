"""The slope of compute, split into MACs per image and images to the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from efficiency_bench.fitting.regression import Array


@dataclass(frozen=True)
class SlopeShare:
    """A slope as the sum of two parts, log2 per month."""

    macs_per_month: float
    """Part of the forward MACs per image."""
    images_per_month: float
    """Part of the images needed to reach the target."""

    @property
    def macs_share(self) -> float | None:
        """Share of the slope due to MACs per image, negative if they oppose it; None: no slope."""
        slope = self.macs_per_month + self.images_per_month
        return self.macs_per_month / slope if slope else None


def slope_share(
    months: Sequence[float],
    forward_macs: Sequence[float],
    slope_per_month: float,
    columns: Array | None = None,
) -> SlopeShare:
    """Split a fitted slope of log2 compute, where compute is 3 * MACs per image * images.

    The part of MACs is the least-squares slope of log2 ``forward_macs`` over the same rows, with
    the same fixed effects ``columns`` [rows, effects]; images account for the rest.  All rows have
    the same weight, including censored ones.  The reason is that the maximum-likelihood line with
    one scatter is the least-squares line through the expected log2 compute of each row given its
    bounds (the fixed point of the EM algorithm), and least squares splits a sum exactly.
    """
    dates = np.asarray(months, dtype=float)
    extra = np.zeros((len(dates), 0)) if columns is None else np.asarray(columns, dtype=float)
    design = np.column_stack([np.ones(len(dates)), dates - dates.mean(), extra])
    macs = float(np.linalg.lstsq(design, np.log2(forward_macs), rcond=None)[0][1])
    return SlopeShare(macs_per_month=macs, images_per_month=slope_per_month - macs)
