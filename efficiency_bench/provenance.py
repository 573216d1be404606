"""What would be needed to run it again: commit, code digest, versions, hardware.

Standard library only: package versions are read from their metadata, so nothing heavy is
imported to name them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from efficiency_bench.records import Provenance

VERSIONED_PACKAGES = (
    "efficiency-bench",
    "ffcv",
    "fvcore",
    "hydra-core",
    "numpy",
    "pillow",
    "simplejpeg",
    "torch",
    "torchvision",
)
"""The packages whose version can move a measured number."""

CODE_PACKAGES = (
    "efficiency_bench",
    "efficiency_bench.configs",
    "efficiency_bench.models",
    "efficiency_bench.reference",
)
"""Named one by one: in a checkout the last three lie outside the package's own folder."""

GIT_TIMEOUT_SECONDS = 5.0
"""A repository on a dead network drive must not hold up a run."""


def collect(hardware: Mapping[str, Any]) -> Provenance:
    """Provenance of a run that starts now.

    ``hardware`` holds what only the caller knows (device, card, threads, precision); the
    CPU's name, usable cores, memory in bytes and the operating system are added to it.
    """
    commit, dirty = git_state(Path(__file__).resolve())
    return Provenance(
        commit=commit,
        dirty=dirty,
        code_digest=code_digest(),
        versions=package_versions(),
        hardware={**host_hardware(), **hardware},
    )


def digest_json(value: Any) -> str:
    """SHA-256 (hex) of ``value`` as canonical JSON: sorted keys, no spaces, no NaN.

    Raises ValueError for NaN or infinity and TypeError for what JSON cannot hold.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def code_digest() -> str:
    """SHA-256 (hex) over names and bytes of the package's Python and YAML files.

    Names are those of the installed package (``efficiency_bench/models/alexnet.py``), so a
    checkout and a wheel of the same code have the same digest.  Read once a process: what it
    runs is what it has imported.
    """
    return _digest_files(dict(_code_files()))


def _digest_files(files: Mapping[str, Path]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256(files[name].read_bytes()).digest())
    return total.hexdigest()


def _code_files() -> Iterator[tuple[str, Path]]:
    for package in CODE_PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            root = Path(folder)
            for path in root.rglob("*"):
                if path.suffix in (".py", ".yaml"):
                    inside = path.relative_to(root).as_posix()
                    yield f"{package.replace('.', '/')}/{inside}", path


def package_versions() -> dict[str, str]:
    """Name -> version of Python and of the packages that can move a number, if installed."""
    found = {"python": platform.python_version()}
    for name in VERSIONED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host_hardware() -> dict[str, Any]:
    """CPU name, cores usable by this process, memory in bytes, operating system."""
    return {
        "cpu": _cpu_name(),
        "cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
        "os": platform.platform(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _usable_cores() -> int | None:
    # containers and job schedulers give a process fewer cores than the machine has
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def git_state(file: Path) -> tuple[str | None, bool | None]:
    """Commit of the repository that tracks ``file``, and whether tracked files differ.

    ``(None, None)`` outside a repository, without git, or where the surrounding repository
    does not track the file: an environment inside somebody's repository is not that code.
    """
    folder = file.parent
    if _git(folder, "ls-files", "--error-unmatch", "--", file.name) is None:
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None, None
    return commit, bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    # inside a git hook these two would point git at the hook's repository
    environment = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=GIT_TIMEOUT_SECONDS,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
