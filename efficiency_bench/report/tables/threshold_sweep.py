"""The output of `efficiency-bench fit --sweep LOW:HIGH`."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.fitting.sensitivity.threshold_sweep import SweepRow, ThresholdSweep
from efficiency_bench.formatting import percent
from efficiency_bench.report.tables.layout import (
    ABSENT,
    interval,
    one_decimal,
    plain_table,
    print_lines,
)

SWEEP_LEGEND = (
    "halving in months; n: rows fitted; never: runs that did not reach it; "
    "bound: runs over it at their first evaluation, charged up to there"
)


def print_sweep(result: ThresholdSweep, console: Console) -> None:
    """Print one line per threshold, with the runs' own target in bold; fits 80 columns."""
    console.print(sweep_table(result))
    console.print(Text(SWEEP_LEGEND, style="dim"))
    print_lines(result.notes, console)


def sweep_table(result: ThresholdSweep) -> Table:
    """One line per threshold, with the runs' own target in bold."""
    metric = result.metric.replace("top", "top-")
    table = plain_table(
        f"Halving time by threshold: {result.data}, {metric}, {result.crossing} crossing",
        "threshold",
        "halving",
        "95 %",
        "factor",
        "n",
        "never",
        "bound",
    )
    table.add_column("", overflow="fold")
    for row in result.rows:
        own = math.isclose(row.threshold, result.own_target)
        table.add_row(*_cells(row), style="bold" if own else "")
    return table


def _cells(row: SweepRow) -> tuple[str, ...]:
    factor = ABSENT if row.reduction_factor is None else f"{row.reduction_factor:.1f}x"
    return (
        percent(row.threshold),
        one_decimal(row.halving_months),
        interval(row.low_months, row.high_months),
        factor,
        str(row.n),
        f"{row.censored}/{row.runs}",
        f"{row.left_censored}/{row.runs}",
        _remark(row),
    )


def _remark(row: SweepRow) -> str:
    if row.reason is not None:
        return row.reason
    all_models = ", all models" if row.variant == "all" else ""
    return f"{row.verdict}{all_models}"
