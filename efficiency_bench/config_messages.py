"""Plain messages for OmegaConf errors: which key, what it must be, what to type."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

SHOW_ALL = "efficiency-bench train experiment=resnet18 --cfg job"

EXAMPLES = {
    "model.name": "timm:mobilenetv4_conv_small",
    "model.published": "2024-04-16",
    "recipe.optimizer.betas": "[0.9,0.999]",
}
"""Example values for keys whose type alone does not suggest one."""

MEANINGS = {"model.published": " (the date of first publication)"}

KINDS = {
    int: ("a whole number", "1"),
    float: ("a number", "0.1"),
    bool: ("true or false", "true"),
    str: ("text", "NAME"),
}


def quoted(text: str, quote: str = '"') -> str:
    """Return ``text`` as a quoted value in Hydra's override grammar.

    A backslash needs escaping only if it comes right before a quote.
    """
    before = re.compile(rf"(\\*)({quote}|$)")
    escaped = before.sub(lambda found: found[1] * 2 + (f"\\{quote}" if found[2] else ""), text)
    return f"{quote}{escaped}{quote}"


def missing(keys: Sequence[str]) -> str:
    """Return the message for keys that have no value."""
    named = " and ".join(f"{key}{MEANINGS.get(key, '')}" for key in keys)
    typed = " ".join(f"{key}={EXAMPLES.get(key, 'VALUE')}" for key in keys)
    return f"{named} {'has' if len(keys) == 1 else 'have'} no value yet; type for example {typed}"


def dangling(error: OmegaConfBaseException) -> str:
    """Return the message for a reference to a key that does not exist."""
    found = re.search(r"Interpolation key '(.*?)' not found", str(error))
    if found is None:
        return f"configuration: {_first_line(error)}"
    return (
        f"{error.full_key} refers to ${{{found[1]}}}, which is not a key of the configuration;"
        f" all keys: {SHOW_ALL}"
    )


def invalid(error: OmegaConfBaseException, schema: type) -> str:
    """Return the message for a key that ``schema`` lacks, or for a value of the wrong type."""
    key = error.full_key or ""
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        owner, _, _ = key.rpartition(".")
        return f"unknown key {key!r}; known: {', '.join(sorted(fields(schema, owner)))}"
    if (rule := must_be(schema, key)) is not None:
        return f"{_first_line(error)}: {rule}"
    return f"configuration: {_first_line(error)}"


def must_be(schema: type, key: str) -> str | None:
    """Return a rule like ``seed must be a whole number; type seed=1``; None if ``schema`` lacks
    the key."""
    key = re.sub(r"\[\d+\]$", "", key)
    kind = _type_of(schema, key)
    if kind is None:
        return None
    options = [one for one in typing.get_args(kind) if one is not type(None)]
    is_union = isinstance(kind, types.UnionType)
    inner = options[0] if is_union else kind
    null = ", or null" if is_union else ""
    if typing.get_origin(inner) is dict:
        return f"{key} is a table; type +{key}.NAME=VALUE"
    if typing.get_origin(inner) is list:
        one, example = KINDS[typing.get_args(inner)[0]]
        value = EXAMPLES.get(key, f"[{example},{example}]")
        return f"{key} must be a list, each item {one}{null}; type '{key}={value}'"
    if inner in KINDS:
        words, example = KINDS[inner]
        return f"{key} must be {words}{null}; type {key}={EXAMPLES.get(key, example)}"
    names = fields(schema, key)
    return f"{key} has keys of its own ({', '.join(names)}); type {key}.{names[0]}=VALUE"


def fields(schema: type, key: str) -> list[str]:
    """Return the keys under ``key`` (empty: the root), or those of the root if it is not a
    group."""
    group = _type_of(schema, key) if key else schema
    if not dataclasses.is_dataclass(group):
        group = schema
    return [field.name for field in dataclasses.fields(group)]


def _type_of(schema: type, key: str) -> Any:
    """Return the type annotation of a dotted key, or None if there is no such key."""
    kind: Any = schema
    for name in key.split("."):
        hints = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        if name not in hints:
            return None
        kind = hints[name]
    return kind


def _first_line(error: OmegaConfBaseException) -> str:
    text = str(error.msg if error.msg else error).splitlines()[0]
    return (
        f"{text} (at {error.full_key})" if error.full_key and error.full_key not in text else text
    )
