"""How much of a slope is MACs per image, and how much is images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from efficiency_bench.fitting.regression import Array


@dataclass(frozen=True)
class SlopeShare:
    """A slope in two parts that add up to it, log2 per month."""

    macs_per_month: float
    """Of the forward MACs per image."""
    images_per_month: float
    """Of the images needed to reach the target."""

    @property
    def macs_share(self) -> float | None:
        """MACs' part of the slope, negative if they pull the other way; None for no slope."""
        slope = self.macs_per_month + self.images_per_month
        return self.macs_per_month / slope if slope else None


def slope_share(
    months: Sequence[float],
    forward_macs: Sequence[float],
    slope_per_month: float,
    columns: Array | None = None,
) -> SlopeShare:
    """Split a fitted slope of log2 compute: compute is 3 * MACs per image * images.

    The MACs' part is the least-squares slope of log2 ``forward_macs`` over the same rows, with the
    same fixed effects ``columns`` [rows, effects]; images have the rest.  Rows weigh the same, the
    censored ones too: a maximum-likelihood line of one scatter is the least-squares line through
    what is expected of every row's log2 compute given what is known (the EM algorithm's fixed
    point), and least squares splits a sum exactly.
    """
    dates = np.asarray(months, dtype=float)
    extra = np.zeros((len(dates), 0)) if columns is None else np.asarray(columns, dtype=float)
    design = np.column_stack([np.ones(len(dates)), dates - dates.mean(), extra])
    macs = float(np.linalg.lstsq(design, np.log2(forward_macs), rcond=None)[0][1])
    return SlopeShare(macs_per_month=macs, images_per_month=slope_per_month - macs)
