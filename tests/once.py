"""Slow test data, made once for all processes of the test run."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from efficiency_bench.files import lock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder ``name``, filled by ``make`` in one process; the others wait for it.

    Tests that write into it use a copy (``own_copy``).
    """
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, finished = base / name, base / f"{name}.finished"
    with (base / f"{name}.lock").open("w") as held:
        lock(held.fileno(), math.inf)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            finished.touch()
    return folder


def own_copy(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a writable copy of ``made_once`` for this process."""
    return Path(shutil.copytree(made_once(factory, name, make), factory.mktemp(name) / name))
