"""A folder with all tables and ``datapackage.json``, which describes them.

Format: Frictionless Data Package, version 2 (datapackage.org/standard/data-package).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from efficiency_bench import __version__, files
from efficiency_bench.errors import UserError
from efficiency_bench.report.export.columns import Column, Table, TableSchema
from efficiency_bench.report.export.formats import to_csv, to_parquet

DESCRIPTION = "datapackage.json"
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def write_package(tables: Iterable[Table], out: Path) -> list[Path]:
    """Write all tables (CSV and Parquet) and ``datapackage.json`` to ``out``; return the paths.

    Raises UserError if pyarrow is not installed or the folder cannot be written.
    """
    contents, resources = {}, []
    for table in tables:
        for form, content in (("csv", to_csv(table).encode()), ("parquet", to_parquet(table))):
            contents[f"{table.schema.name}.{form}"] = content
            resources.append(_resource(table.schema, form, content))
    package = {
        "$schema": PROFILE,
        "name": "efficiency-bench-ledger",
        "title": "Runs, learning curves and fitted rows of an efficiency-bench ledger",
        "version": __version__,
        "resources": resources,
    }
    contents[DESCRIPTION] = (json.dumps(package, indent=2) + "\n").encode()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            files.put(out / name, content)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written: {error.strerror or error}\n"
            "name a folder that can be: --out DIR"
        ) from error
    return [out / name for name in contents]


def _resource(schema: TableSchema[Any], form: str, content: bytes) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": schema.name if form == "csv" else f"{schema.name}-{form}",
        "path": f"{schema.name}.{form}",
        "description": schema.description,
        "format": form,
        "mediatype": MEDIA_TYPES[form],
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
    if form == "csv":  # Parquet files contain their own schema, with units and descriptions
        described |= {"encoding": "utf-8", "bytes": len(content), "schema": table_schema(schema)}
    return described


def table_schema(schema: TableSchema[Any]) -> dict[str, Any]:
    """Return the Frictionless Table Schema; the ``unit`` of a field is our addition."""
    return {
        "fields": [_described(column) for column in schema.columns],
        "missingValues": [""],
        "primaryKey": list(schema.primary_key),
    }


def _described(column: Column[Any]) -> Mapping[str, Any]:
    unit = {"unit": column.unit} if column.unit else {}
    return {
        "name": column.name,
        "type": column.type,
        **unit,
        "description": column.description,
    }


def dictionary(schemas: Sequence[TableSchema[Any]]) -> str:
    """Return Markdown tables of all columns, for the docs."""
    parts = []
    for schema in schemas:
        lines = [f"## {schema.name}", "", f"{schema.description}.", ""]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{c.name}` | {c.type} | {c.unit or ''} | {c.description} |" for c in schema.columns
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
