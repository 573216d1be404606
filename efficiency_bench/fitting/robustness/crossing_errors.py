"""How far each seed's compute may be off by its own learning curve, for the bootstrap alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from efficiency_bench.fitting.crossing_interval import entry_crossing
from efficiency_bench.fitting.currencies import Crossing
from efficiency_bench.fitting.fit_row import RowSet
from efficiency_bench.fitting.regression import NORMAL_QUANTILE
from efficiency_bench.records import Entry

MOST_CURVES = 400
"""Runs up to which each learning curve's own error is worked out (a few milliseconds each).

Beyond, they are left out: among so many rows the scatter between them is all that matters.
"""

SeedErrors = Mapping[str, float]
"""Run id -> standard error of log2 of its compute to target; none: unknown, taken as 0."""


def crossing_errors(entries: Sequence[Entry], row_set: RowSet) -> SeedErrors:
    """The errors of the runs of ``row_set``, whose entries are among ``entries``."""
    wanted = {run_id for row in row_set.rows for run_id in row.run_ids}
    if len(wanted) > MOST_CURVES:
        return {}
    return {
        entry.run_id: crossing_error(entry, row_set.crossing)
        for entry in entries
        if entry.run_id in wanted and entry.estimand == "anytime"
    }


def crossing_error(entry: Entry, crossing: Crossing) -> float:
    """Standard error of log2 of an entry's compute to target, from its learning curve.

    Its 95 % interval on the log2 scale is 2 x 1.96 of them.  0 where the interval is open or
    there is no curve, and for a run that set its own target, which is charged its whole
    schedule.
    """
    if entry.sets_target:
        return 0.0
    estimate = entry_crossing(entry, crossing)
    if estimate is None or estimate.high is None or estimate.low <= 0:
        return 0.0
    return math.log2(estimate.high / estimate.low) / (2 * NORMAL_QUANTILE)
