"""Plain messages for OmegaConf errors: which key, what it must be, what to type."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

SHOW_ALL = "efficiency-bench train experiment=resnet18 --cfg job"

EXAMPLES = {
    "model.name": "timm:mobilenetv4_conv_small",
    "model.published": "2024-04-16",
    "recipe.optimizer.betas": "[0.9,0.999]",
    "recipe.epochs": "10",
    "target.value": "0.6",
    "budget": "0.25",
}
"""Example values for keys whose type alone does not suggest one."""

MEANINGS = {"model.published": " (the date of first publication)"}

KINDS = {
    int: ("a whole number", "1"),
    float: ("a number", "0.1"),
    bool: ("true or false", "true"),
    str: ("text", "NAME"),
}


NAMED_FILES = ("experiment", "model", "recipe", "data", "target", "suite", "form")
"""Keys whose value is the name of a file in configs/."""

OPTIONS = ("-m", "--multirun", "--resolve", "--version", "--hydra-help")
VALUED_OPTIONS = ("--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--info", "-i")
CFG = ("job", "hydra", "all")


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


def invalid_option(arguments: Sequence[str]) -> str | None:
    """Return the message for the first argument that begins like an option and is none."""
    for place, text in enumerate(arguments):
        option, equals, value = text.partition("=")
        shown = [value] if equals else [*arguments[place + 1 : place + 2]]
        if option in ("--cfg", "-c") and not set(shown) & set(CFG):
            return f"{' '.join([option, *shown])} is not allowed; type --cfg job, hydra or all"
        if text.startswith("-") and not (
            option in VALUED_OPTIONS or (option in OPTIONS and not equals)
        ):
            setting = text.lstrip("-") if equals else "KEY=VALUE"
            return (
                f"unknown option {text!r}; known: -m, --cfg job, --config-dir DIR\n"
                f"a setting has no dashes: type {setting}"
            )
    return None


def no_setting(text: str, schema: type) -> str:
    """Return the message for an argument without an equals sign."""
    key, _, value = re.sub(r"[\s:]+", " ", text).partition(" ")
    known = {*NAMED_FILES, *keys(schema)}
    if key in NAMED_FILES:
        typed = f"{key}={value or 'NAME'}"
    elif key in known and value:
        typed = f"{key}={value}"
    elif key in known and (rule := must_be(schema, key)) is not None:
        return f"{text!r} is not KEY=VALUE: {rule}"
    else:
        return f"{text!r} is not KEY=VALUE; type for example seed=1, or --help for what there is"
    return f"{text!r} is not KEY=VALUE; type {typed}"


def no_file_name(arguments: Sequence[str]) -> str:
    """Return the message for a number, true or null where the name of a file is needed."""
    for text in arguments:
        key, _, value = text.partition("=")
        if key in NAMED_FILES and re.fullmatch(r"null|true|false|[\d.eE+-]+", value, re.IGNORECASE):
            level = key == "target" and value[:1].isdigit()
            typed = (
                f"for a level type target.value={value}"
                if level
                else f"type {key}=NAME or leave it out"
            )
            return f"{text} is not allowed: {key}= takes the name of a file; {typed}"
    return (
        f"{', '.join(NAMED_FILES)} each take the name of a file: type it, or leave the key out;\n"
        f"one of these is not a name: {', '.join(text for text in arguments if '=' in text)}"
    )


def did_you_mean(key: str, schema: type) -> str:
    """Return a hint at the key of ``schema`` that is close to ``key``; empty if none is."""
    known = list(keys(schema))
    same = [one for one in known if one.rpartition(".")[2] == key]
    near = same if len(same) == 1 else difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    return f" (did you mean {near[0]}?)" if near else ""


def keys(schema: type, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of ``schema``, those with keys of their own included."""
    for name, kind in typing.get_type_hints(schema).items():
        yield f"{prefix}{name}"
        if dataclasses.is_dataclass(kind):
            yield from keys(kind, f"{prefix}{name}.")  # type: ignore[arg-type]


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
