"""Standard error of each seed's compute from its learning curve, for the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from efficiency_bench.fitting.crossing_interval import entry_crossing
from efficiency_bench.fitting.currencies import Crossing
from efficiency_bench.fitting.fit_row import RowSet
from efficiency_bench.fitting.regression import NORMAL_QUANTILE
from efficiency_bench.records import Entry

MOST_CURVES = 400
"""Most runs for which the errors of learning curves are computed (a few milliseconds each).

With more runs they are taken as 0, since the scatter between so many rows dominates.
"""

SeedErrors = Mapping[str, float]
"""Run id -> standard error of log2 of its compute to target; a missing one is taken as 0."""


def crossing_errors(entries: Sequence[Entry], row_set: RowSet) -> SeedErrors:
    """Return the errors of the runs in ``row_set``; their entries must be in ``entries``."""
    wanted = {run_id for row in row_set.rows for run_id in row.run_ids}
    if len(wanted) > MOST_CURVES:
        return {}
    return {
        entry.run_id: crossing_error(entry, row_set.crossing)
        for entry in entries
        if entry.run_id in wanted and entry.estimand == "anytime"
    }


def crossing_error(entry: Entry, crossing: Crossing) -> float:
    """Return the standard error of log2 of compute to target, from the learning curve.

    The 95 % interval on the log2 scale is 2 x 1.96 standard errors wide.  The error is 0 if the
    interval is open, if there is no curve, and for a run that set its own target, which is charged
    its whole schedule.
    """
    if entry.sets_target:
        return 0.0
    estimate = entry_crossing(entry, crossing)
    if estimate is None or estimate.high is None or estimate.low <= 0:
        return 0.0
    return math.log2(estimate.high / estimate.low) / (2 * NORMAL_QUANTILE)
