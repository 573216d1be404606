"""Writes the tables of docs/configuration.md and docs/ledger_fields.md from their definitions.

python docs/write_references.py
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from efficiency_bench import config, records
from efficiency_bench.report.export.tables import SCHEMAS

DOCS = Path(__file__).parent
CONFIGS = DOCS.parent / "configs"
BEGINNING = "<!-- tables: written by docs/write_references.py -->\n"
GROUPS = ("experiment", "model", "recipe", "data", "target", "form", "suite", "hydra/launcher")
CLASSES = ("Entry", "Target", "Segment", "Evaluation", "Clocks", "Cost", "Provenance", "RateSearch")
MORE: dict[str, str] = yaml.safe_load((DOCS / "reference_descriptions.yaml").read_text("utf-8"))
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">"}

Row = tuple[str, str, str, str]
"""Name, type, default, description."""


def pages() -> dict[Path, str]:
    """Return both pages as they should be."""
    parts = {"configuration.md": configuration(), "ledger_fields.md": ledger_fields()}
    written = {}
    for name, generated in parts.items():
        above, _, _ = (DOCS / name).read_text("utf-8").partition(BEGINNING)
        written[DOCS / name] = f"{above}{BEGINNING}\n" + "\n".join(generated)
    return written


def configuration() -> Iterator[str]:
    """Yield a table of the groups, then one of keys per group."""
    lines = ["## Groups\n", "| group | files |", "|---|---|"]
    for group in GROUPS:
        names = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        lines.append(f"| `{group}` | {', '.join(f'`{name}`' for name in names)} |")
    yield "\n".join(lines) + "\n"
    for prefix, kind in groups("", config.RunConfig):
        yield f"## {prefix or 'Top-level keys'}\n\n{first_line(kind)}\n"
        yield table("key", keys(prefix, kind))


def groups(prefix: str, kind: type) -> Iterator[tuple[str, type]]:
    """Yield a group of keys and the groups inside of it, with their prefixes."""
    yield prefix, kind
    for field in dataclasses.fields(kind):
        if inner := group_of(field):
            yield from groups(f"{prefix}.{field.name}".lstrip("."), inner)


def group_of(field: dataclasses.Field[Any]) -> type | None:
    """Return the class of a field that is a group of keys, else None."""
    kind = getattr(config, str(field.type), None)
    return kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def keys(prefix: str, kind: type) -> list[Row]:
    """Return the keys of one group; a comment in train.yaml comes before one in config.py."""
    source = Path(config.__file__).read_text("utf-8").splitlines()
    said = comments(source[node.lineno - 1] for node in body_of(config, kind.__name__))
    if prefix in ("", "evaluation", "tracking"):
        said |= comments((CONFIGS / "train.yaml").read_text("utf-8").splitlines())
    rows = []
    for field in dataclasses.fields(kind):
        if group_of(field) is None:
            key = f"{prefix}.{field.name}".lstrip(".")
            words = str(field.type).replace("dict[str, Any]", "mapping").replace(" | ", " or ")
            words = re.sub(r"list\[(\w+)\]", r"list of \1", words.replace("None", "null"))
            rows.append((key, words, default_of(field), described(key, said.get(field.name, ""))))
    return rows


def comments(lines: Iterable[str]) -> dict[str, str]:
    """Return key -> comment of the lines that have both."""
    found = (re.match(r"\s*(?:- )?(\w+):.*?\s# (.+)$", line) for line in lines)
    return {match[1]: match[2].strip() for match in found if match}


def default_of(field: dataclasses.Field[Any]) -> str:
    """Return a key's default as YAML."""
    factory = field.default_factory
    value = field.default if factory is dataclasses.MISSING else factory()
    return "required" if value == config.MISSING else f"`{json.dumps(value)}`"


def ledger_fields() -> Iterator[str]:
    """Yield a table for each kind of record."""
    for name in CLASSES:
        record = getattr(records, name)
        yield f"## {name}\n\n{first_line(record)}\n"
        yield table("field", fields(name, record.model_json_schema()))


def fields(name: str, schema: dict[str, Any]) -> list[Row]:
    """Return the fields of a record; those of an entry may be described as exported columns."""
    columns = SCHEMAS[0].columns if name == "Entry" else ()
    said = {column.name: column.description for column in columns} | docstrings(name)
    rows = []
    for field, form in schema["properties"].items():
        default = f"`{json.dumps(form.get('default'))}`"
        default = "required" if field in schema.get("required", ()) else default
        text = described(f"{name}.{field}", said.get(field, ""))
        rows.append((field, type_of(form), default, text))
    return rows


def docstrings(name: str) -> dict[str, str]:
    """Return field -> the string under it."""
    body, found = body_of(records, name), {}
    for node, after in pairwise(body):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=text)):
                found[field] = " ".join(str(text).split())
    return found


def type_of(form: dict[str, Any]) -> str:
    """Return a JSON schema as words."""
    if "anyOf" in form:
        return " or ".join(type_of(one) for one in form["anyOf"])
    if "$ref" in form:
        name = form["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in form or "const" in form:
        return ", ".join(f"`{one}`" for one in form.get("enum", [form.get("const")]))
    if form.get("type") == "array":
        return f"list of {type_of(form['items'])}"
    low = next((f" {sign} {form[key]}" for key, sign in BOUNDS.items() if key in form), "")
    return str(form.get("type")) + (" from 0 to 1" if form.get("maximum") == 1 else low)


def body_of(module: Any, name: str) -> list[ast.stmt]:
    """Return the statements of a module's class."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    return next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)


def described(name: str, text: str) -> str:
    """Return a description in Markdown, completed if its definition has none."""
    return plain(MORE.get(name, "{}").replace("{}", text)).replace("<", "&lt;")


def first_line(kind: type) -> str:
    """Return the first paragraph of a class's docstring."""
    return plain(" ".join((kind.__doc__ or "").partition("\n\n")[0].split()))


def plain(text: str) -> str:
    """Return a docstring as Markdown, with the constants of JSON and YAML instead of Python's."""
    return re.sub(r"`*\bNone\b`*", "null", text).replace("False", "false").replace("``", "`")


def table(head: str, rows: Iterable[Row]) -> str:
    """Return a Markdown table."""
    lines = [f"| {head} | type | default | meaning |", "|---|---|---|---|"]
    cells = ((f"`{name}`", *(cell.replace("|", "\\|") for cell in row)) for name, *row in rows)
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)]) + "\n"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
