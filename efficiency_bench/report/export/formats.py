"""A table as CSV or Parquet."""

from __future__ import annotations

import csv
import io
from types import ModuleType
from typing import Any

from efficiency_bench.errors import UserError
from efficiency_bench.report.export.columns import Table, Value


def to_csv(table: Table) -> str:
    """Return the table as CSV with a header line; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in table.schema.columns)
    writer.writerows([_cell(value) for value in line] for line in table.lines)
    return text.getvalue()


def _cell(value: Value) -> Value:
    return str(value).lower() if isinstance(value, bool) else value


def to_parquet(table: Table) -> bytes:
    """Return the table as Parquet, with unit and description in each field's metadata.

    Raises UserError if pyarrow is not installed.
    """
    arrow = _pyarrow()
    from pyarrow import parquet

    types = {
        "string": arrow.string(),
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "boolean": arrow.bool_(),
        "date": arrow.date32(),
    }
    columns = table.schema.columns
    fields = [
        arrow.field(
            column.name,
            types[column.type],
            metadata={"unit": column.unit or "", "description": column.description},
        )
        for column in columns
    ]
    values: list[list[Any]] = [[line[i] for line in table.lines] for i in range(len(columns))]
    arrays = [arrow.array(own, field.type) for own, field in zip(values, fields, strict=True)]
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=arrow.schema(fields)), out)
    return out.getvalue()


def _pyarrow() -> ModuleType:
    try:
        import pyarrow
    except ImportError as error:
        raise UserError(
            "Parquet needs pyarrow, which is not installed; CSV needs nothing: --format csv\n"
            "install it: pip install pyarrow"
        ) from error
    return pyarrow
