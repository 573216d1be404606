"""The command that repeats a run: its config files, and every setting that differs from them.

Entries may come from strangers, and users paste the command into a shell.  So it contains only
keys of the configuration's schema that matter to the measurement, and only plain values.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from importlib import resources
from typing import Any

import yaml

from efficiency_bench.config import FREE_TABLES, RunConfig
from efficiency_bench.config_checks import FORMS
from efficiency_bench.config_messages import quoted
from efficiency_bench.formatting import visible
from efficiency_bench.identity import (
    ADDED_LATER,
    FOLLOWS_FROM_BUDGET,
    PROSE,
    leaves,
    recorded_settings,
)
from efficiency_bench.records import Entry

GROUPS = ("model", "recipe", "data")
"""Parts of a configuration that are selected by name, with one file per name."""

DESCRIPTIONS = frozenset(name.rpartition(".")[2] for name in PROSE)
"""Fields that only describe, and are left out of the command."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*")
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def repeat_command(entry: Entry, ledger: str) -> str | None:
    """Return the ``efficiency-bench train`` command of a run; None if it was not measured here.

    Settings from a named file are left out, and all others are spelled out, so that the command
    reproduces the recorded configuration.  A target that came from the ledger is looked up again in
    ``ledger``.  Data folders (``data.root``) are not recorded.

    Keys that the schema lacks are left out.  Also None if a value is not plain: a reference
    (``${...}``), or a control character.
    """
    config = _of_schema(entry.config, _schema())
    if entry.tier != "measured" or not all(_named(config.get(group)) for group in GROUPS):
        return None
    if config.get("form") not in FORMS or any(map(_is_more, leaves(config))):
        return None
    names = [f"{group}={_value(_file_of(group, config[group]))}" for group in GROUPS]
    settings = [
        # Hydra accepts new keys in a free table only with ++
        f"{'++' if isinstance(value, Mapping) else ''}{key}={_value(value)}"
        for key, value in _differences(config)
    ]
    form = [] if config["form"] == "small" else [f"form={config['form']}"]
    typed = [*names, *form, *settings, f"ledger_dir={_value(ledger)}"]
    return "efficiency-bench train " + " ".join(map(shlex.quote, typed))


def _of_schema(
    values: Mapping[str, Any], schema: Mapping[str, Any], at: str = ""
) -> dict[str, Any]:
    """Return ``values`` without unknown keys; free tables keep only valid argument names."""
    known = {}
    for name, value in values.items():
        key = f"{at}{name}"
        if name not in schema:
            continue
        if isinstance(schema[name], Mapping) != isinstance(value, Mapping):
            continue
        if key in FREE_TABLES:
            value = _arguments(value)
        elif isinstance(value, Mapping):
            value = _of_schema(value, schema[name], f"{key}.")
        known[name] = value
    return known


def _arguments(value: Any) -> Any:
    """Return ``value`` without table keys that are not valid argument names."""
    if isinstance(value, Mapping):
        return {k: _arguments(v) for k, v in value.items() if _ARGUMENT.fullmatch(k)}
    return list(map(_arguments, value)) if isinstance(value, list | tuple) else value


@cache
def _schema() -> dict[str, Any]:
    """Return every key that affects the measurement, with its default."""
    keys = dataclasses.asdict(RunConfig())
    for name in ADDED_LATER:  # not recorded at their defaults
        *groups, key = name.split(".")
        reduce(lambda part, group: part[group], groups, keys)[key] = _ABSENT
    return recorded_settings(keys)


def _named(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("name"), str)


def _is_more(leaf: tuple[str, Any]) -> bool:
    """Return whether a value is a reference or contains control characters."""
    text = leaf[1]
    return isinstance(text, str) and ("${" in text or "\n" in text or visible(text) != text)


_ABSENT = object()


def _file_of(group: str, part: Mapping[str, Any]) -> str:
    """Return the config file's name; all networks of a library (``timm:NAME``) share one file."""
    name = str(part["name"])
    return "timm" if group == "model" and ":" in name else name


def _differences(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of every setting that differs from config files and defaults.

    With a budget, the settings that follow from it are skipped.
    """
    settled = {*FOLLOWS_FROM_BUDGET, "estimand"} if config.get("budget") is not None else set()
    for name, value in config.items():
        if name == "form":
            continue
        given: Any = _defaults().get(name)
        if name in GROUPS:
            given = _merged(given, _group_file(name, _file_of(name, value)))
        elif name == "target":
            given = _merged(given, _group_file(name, str(config["form"])))
        for key, recorded, default in _leaves(name, value, given):
            if key not in settled and recorded != _resolved(default, config):
                yield key, recorded


def _resolved(default: Any, config: Mapping[str, Any]) -> Any:
    """Resolve a default that refers to another setting (``${data.crop_pad_px}``)."""
    reference = re.fullmatch(r"\$\{(\w+)\.(\w+)\}", default) if isinstance(default, str) else None
    if reference is None:
        return default
    group = config.get(reference[1])
    return group.get(reference[2]) if isinstance(group, Mapping) else None


def _leaves(key: str, value: Any, given: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted key, value, default) of every setting under ``value``."""
    inside = isinstance(value, Mapping) and isinstance(given, Mapping)
    if inside and (given or not value):
        for name, below in value.items():
            if name not in DESCRIPTIONS:
                yield from _leaves(f"{key}.{name}", below, given.get(name, _ABSENT))
    else:
        yield key, value, given


def _merged(defaults: Any, file: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults or {})
    for name, value in file.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if nested else value
    return merged


@cache
def _defaults() -> dict[str, Any]:
    """RunConfig's defaults, overridden by those of train.yaml."""
    schema = dataclasses.asdict(RunConfig())
    text = resources.files("efficiency_bench.configs").joinpath("train.yaml").read_text("utf-8")
    root = {name: value for name, value in yaml.safe_load(text).items() if name in schema}
    return _merged(schema, root)


@cache
def _group_file(group: str, name: str) -> dict[str, Any]:
    """Return the settings of ``configs/GROUP/NAME.yaml``; empty if the file no longer exists."""
    if not re.fullmatch(r"\w+", name):
        return {}
    file = resources.files("efficiency_bench.configs").joinpath(group, f"{name}.yaml")
    if not file.is_file():
        return {}
    values: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return values[group] if isinstance(values.get(group), dict) else values


def _value(value: Any) -> str:
    """Return ``value`` in Hydra's override syntax."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case Mapping():
            return "{" + ",".join(f"{key}:{_value(v)}" for key, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_value, value)) + "]"
    if _PLAIN.fullmatch(value) and value.lower() not in ("null", "true", "false", "nan", "inf"):
        return str(value)
    return quoted(str(value), "'")
