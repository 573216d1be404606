"""The source files of a registered network, now and in the repository's history.

They explain a count that differs from an entry's: the network's code has changed since, and the
repository still has the earlier version.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from efficiency_bench import models
from efficiency_bench.git import commits_of, files_at, top_of
from efficiency_bench.models import MODELS
from efficiency_bench.provenance import digest_named

FOLDER = "models"
"""The folder in the repository; installed, it is the package of that name."""

_PACKAGE = models.__name__
_HERE = Path(models.__file__).resolve().parent


def network_digest(model: str, form: str) -> str | None:
    """SHA-256 (hex) over the network's own file and the files of ``models/`` that it imports.

    None for a library's network and for an unknown name.
    """
    own = _own_file(model, form)
    return None if own is None else _digest(own, _installed)


@cache
def network_digest_at(commit: str, model: str, form: str) -> str | None:
    """``network_digest`` at a commit; None if the commit is missing or has no such file."""
    own, top = _own_file(model, form), top_of(_HERE / "__init__.py")
    files = None if own is None or top is None else files_at(top, commit, (".py",), (FOLDER,))
    if own is None or files is None:
        return None
    return _digest(own, lambda name: files.get(f"{FOLDER}/{name}"))


@cache
def commit_with(digest: str, model: str, form: str) -> str | None:
    """The newest commit of this repository whose network has ``digest``, or None."""
    top = top_of(_HERE / "__init__.py")
    commits = [] if top is None else commits_of(top, FOLDER)
    return next((c for c in commits if network_digest_at(c, model, form) == digest), None)


def _own_file(model: str, form: str) -> str | None:
    """The name of the file that builds a registered network."""
    builder = getattr(MODELS.get(model), form, None)
    while isinstance(builder, partial):
        builder = builder.func
    module = getattr(builder, "__module__", "")
    return f"{module.removeprefix(f'{_PACKAGE}.')}.py" if module.startswith(_PACKAGE) else None


def _digest(own: str, content: Callable[[str], bytes | None]) -> str | None:
    """The digest over ``own`` and the files it imports; None if one of them is missing."""
    read: dict[str, bytes] = {}
    names = [own]
    while names:
        name = names.pop()
        if name in read:
            continue
        source = content(name)
        if source is None:
            return None
        read[name] = source
        names += _imported(source)
    return digest_named(read)


def _imported(source: bytes) -> list[str]:
    """Files of the package that ``source`` imports from; it is parsed, not run."""
    modules = [
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
    ]
    return [
        f"{module.removeprefix(f'{_PACKAGE}.')}.py"
        for module in modules
        if module.startswith(f"{_PACKAGE}.")
    ]


def _installed(name: str) -> bytes | None:
    path = _HERE / name
    return path.read_bytes() if path.is_file() else None
