"""What takes seconds to make is made once, for all processes of the suite."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from efficiency_bench.files import lock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name`` as ``make`` fills it; the other processes wait for it and read it.

    Whoever writes into it copies it first (``own_copy``).
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
    """A copy of ``made_once`` that this process may write into."""
    return Path(shutil.copytree(made_once(factory, name, make), factory.mktemp(name) / name))
