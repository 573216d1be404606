"""Shell completion of Hydra overrides: configuration keys, and names of configuration files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from importlib import resources
from typing import Annotated, Any

import typer

GROUPS = ("experiment", "model", "recipe", "data", "suite", "form", "hardware", "hydra/launcher")
"""Keys whose values are names of files in configs/."""


def complete(context: typer.Context, incomplete: str) -> list[str]:
    """Completions of the current word.

    bash splits words at ``=`` and completes the value alone; zsh and fish complete ``KEY=VALUE``.
    """
    before = context.params.get("overrides") or []
    if not incomplete and before and before[-1] in GROUPS:  # bash, right after the equals sign
        return list(_values(before[-1], ""))
    if len(before) > 1 and before[-1] == "=":
        return list(_values(before[-2], incomplete))
    key, is_value, value = incomplete.partition("=")
    if not is_value:
        keys = [name for name in _keys() if name.startswith(incomplete)]
        if len(keys) != 1 or keys[0] not in GROUPS:
            return [f"{name}=" for name in keys]
        (key,) = keys  # with values, because a shell would add a space after a single key
    return [f"{key}={found}" for found in _values(key, value)]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="As in Hydra.", autocompletion=complete),
]
"""Hydra's arguments, including its flags, which are passed on unchanged."""


def _values(key: str, typed: str) -> Iterable[str]:
    """Names of the key's files; after a comma, the next value of a sweep."""
    if key not in GROUPS:
        return
    done, comma, last = typed.rpartition(",")
    folder = resources.files("efficiency_bench.configs").joinpath(*key.split("/"))
    names = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.is_file())
    yield from (f"{done}{comma}{name}" for name in names if name.startswith(last))


def _keys() -> list[str]:
    """The groups, and every dotted key of the configuration."""
    from efficiency_bench.config import RunConfig  # OmegaConf would double the start-up time

    return [*GROUPS, *(key for key in _leaves("", RunConfig()) if key not in GROUPS)]


def _leaves(prefix: str, part: Any) -> Iterable[str]:
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(f"{prefix}{field.name}.", value)
        else:
            yield f"{prefix}{field.name}"
