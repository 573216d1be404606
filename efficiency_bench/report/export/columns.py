"""Columns with a type, a unit and a description, and the tables made of them.

A column is defined once; CSV, Parquet, ``datapackage.json`` and the docs follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, Literal, TypeVar

from efficiency_bench.formatting import cell

Type = Literal["string", "integer", "number", "boolean", "date"]
"""Names of the Frictionless Table Schema (datapackage.org/standard/table-schema)."""

Value = str | int | float | bool | date | None
Item = TypeVar("Item")
"""What a table has a line for."""

LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Column(Generic[Item]):
    """One column: what it holds, and how to read it from a table's item."""

    name: str
    type: Type
    unit: str | None
    """None: text, a flag, a date or a plain number."""
    description: str
    read: Callable[[Item], Any]


@dataclass(frozen=True)
class TableSchema(Generic[Item]):
    """The columns of a table and what identifies a line."""

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column[Item], ...]


@dataclass(frozen=True)
class Table:
    """A schema with its lines."""

    schema: TableSchema[Any]
    lines: tuple[tuple[Value, ...], ...]
    """One value per column; None where it is unknown."""
    problems: tuple[str, ...]
    """Values of an entry that are not of their column's type, and so are left empty."""


def fill(schema: TableSchema[Item], items: Iterable[Item], name: Callable[[Item], str]) -> Table:
    """Return the table of ``items``; ``name`` identifies one in ``problems``."""
    lines, problems = [], []
    for item in items:
        line = []
        for column in schema.columns:
            found = column.read(item)
            try:
                line.append(_typed(column.type, found))
            except (ValueError, OverflowError):
                line.append(None)
                problems.append(
                    f"{name(item)}: {column.name} is {_short(found)}, which is no {column.type};"
                    " left empty"
                )
        lines.append(tuple(line))
    return Table(schema, tuple(lines), tuple(problems))


def _typed(kind: Type, value: Any) -> Value:
    """Return ``value`` as its column's type, None as None.

    Text that a spreadsheet would evaluate is made inert here, so that all formats hold the same.
    Raises ValueError for a value of another type.
    """
    if value is None:
        return None
    if kind == "string" and isinstance(value, str):
        return str(cell(value)) or None  # CSV cannot tell an empty text from an unknown one
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "date" and isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "number" and math.isfinite(value):
            return float(value)
        if kind == "integer" and isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
            return value
    raise ValueError(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
