"""Typed columns with unit and description, and the tables built from them.

Each column is defined once.  CSV, Parquet, ``datapackage.json`` and the docs are generated from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, Literal, TypeVar

from efficiency_bench.formatting import cell

Type = Literal["string", "integer", "number", "boolean", "date"]
"""Type names of the Frictionless Table Schema (datapackage.org/standard/table-schema)."""

Value = str | int | float | bool | date | None
Item = TypeVar("Item")
"""What one line of a table is about."""

LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Column(Generic[Item]):
    """One column: its meaning, and how to read its value from an item."""

    name: str
    type: Type
    unit: str | None
    """None: text, a flag, a date or a plain number."""
    description: str
    read: Callable[[Item], Any]


@dataclass(frozen=True)
class TableSchema(Generic[Item]):
    """The columns of a table and its primary key."""

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: tuple[Column[Item], ...]


@dataclass(frozen=True)
class Table:
    """A schema and its lines."""

    schema: TableSchema[Any]
    lines: tuple[tuple[Value, ...], ...]
    """One value per column; None if unknown."""
    problems: tuple[str, ...]
    """Values that do not have their column's type and were left empty."""


def fill(schema: TableSchema[Item], items: Iterable[Item], name: Callable[[Item], str]) -> Table:
    """Return the table of ``items``; ``name`` returns the name of an item for ``problems``."""
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
    """Return ``value`` as its column's type; None stays None.

    Text that a spreadsheet would evaluate is made inert here, so that all formats have the same
    content.  Raises ValueError for a value of another type.
    """
    if value is None:
        return None
    if kind == "string" and isinstance(value, str):
        return str(cell(value)) or None  # CSV cannot distinguish empty from unknown
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
