"""The tables of an export, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from efficiency_bench.records import Entry
from efficiency_bench.report.export.columns import Table, TableSchema
from efficiency_bench.report.export.curves import CURVES, curves_table
from efficiency_bench.report.export.rows import ROWS, rows_table
from efficiency_bench.report.export.runs import RUNS, runs_table

TABLES: Mapping[str, Callable[[Sequence[Entry]], Table]] = {
    "runs": runs_table,
    "curves": curves_table,
    "rows": rows_table,
}
SCHEMAS: tuple[TableSchema[Any], ...] = (RUNS, CURVES, ROWS)
