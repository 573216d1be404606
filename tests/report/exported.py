"""Exported tables, read back."""

from __future__ import annotations

import io
from typing import Any

import pytest

from efficiency_bench.report.export.columns import Table


def lines_of(table: Table) -> list[dict[str, Any]]:
    """Return the lines of a table as column -> value."""
    names = [column.name for column in table.schema.columns]
    return [dict(zip(names, line, strict=True)) for line in table.lines]


def opened(text: str, content: bytes) -> tuple[Any, Any]:
    """Return a CSV text and Parquet bytes as pyarrow reads them, with the same types."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow: make env")
    arrow_csv = pytest.importorskip("pyarrow.csv")
    from_parquet = parquet.read_table(io.BytesIO(content))
    options = arrow_csv.ConvertOptions(
        column_types={field.name: field.type for field in from_parquet.schema},
        null_values=[""],
        strings_can_be_null=True,
    )
    return arrow_csv.read_csv(io.BytesIO(text.encode()), convert_options=options), from_parquet
