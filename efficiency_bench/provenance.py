"""Collect what is needed to repeat a run: commit, code digest, versions, hardware.

Standard library only: package versions come from package metadata, so that nothing heavy is
imported.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import platform
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from efficiency_bench.git import files_at, git, top_of

if TYPE_CHECKING:
    from efficiency_bench.records import Provenance

VERSIONED_PACKAGES = (
    "efficiency-bench",
    "ffcv",
    "fvcore",
    "hydra-core",
    "numpy",
    "pillow",
    "simplejpeg",
    "timm",
    "torch",
    "torchvision",
)
"""Packages whose version can change a measured number."""

CODE_PACKAGES = (
    "efficiency_bench",
    "efficiency_bench.configs",
    "efficiency_bench.models",
    "efficiency_bench.reference",
)
"""Listed one by one: in a checkout the last three are outside the package's folder."""

CODE_SUFFIXES = (".py", ".yaml")


def collect(hardware: Mapping[str, Any], network_digest: str | None = None) -> Provenance:
    """Return the provenance of a run that starts now.

    ``hardware`` holds what only the caller knows (device, GPU, threads, precision); the CPU's name,
    usable cores, memory in bytes and the operating system are added.  ``network_digest`` is the
    digest of the network's own file; None: the network comes from a library.
    """
    from efficiency_bench.records import Provenance  # pydantic takes half of the start-up time

    commit, dirty = git_state(Path(__file__).resolve())
    if commit is not None and code_digest_at(commit) not in (None, code_digest()):
        dirty = True  # also if git does not track the file that differs
    return Provenance(
        commit=commit,
        dirty=dirty,
        code_digest=code_digest(),
        network_digest=network_digest,
        versions=package_versions(),
        hardware={**host_hardware(), **hardware},
    )


def digest_json(value: Any) -> str:
    """Return the SHA-256 (hex) of ``value`` as canonical JSON: sorted keys, no spaces, no NaN.

    Raises ValueError for NaN or infinity and TypeError for what JSON cannot hold.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def code_digest() -> str:
    """Return the SHA-256 (hex) of the names and bytes of the package's Python and YAML files.

    Names are those of the installed package (``efficiency_bench/models/alexnet.py``), so a
    checkout and a wheel of the same code have the same digest.  Computed once per process, which
    keeps running the code that it imported.
    """
    return _digest_files(dict(_code_files()))


@functools.cache
def code_digest_at(commit: str) -> str | None:
    """Return the ``code_digest`` of a commit, or None if the commit or git is not available.

    ``commit`` may be untrusted text.  The commit's own ``pyproject.toml`` says where each package
    was at that time.
    """
    top = top_of(Path(__file__).resolve())
    files = files_at(top, commit, (*CODE_SUFFIXES, "pyproject.toml")) if top else None
    if files is None or "pyproject.toml" not in files:
        return None
    setuptools = tomllib.loads(files["pyproject.toml"].decode())["tool"]["setuptools"]
    named = {
        f"{package.replace('.', '/')}/{path.removeprefix(folder + '/')}": content
        for package, folder in setuptools["package-dir"].items()
        for path, content in files.items()
        if path.startswith(folder + "/") and path.endswith(CODE_SUFFIXES)
    }
    return digest_named(named)


def digest_named(contents: Mapping[str, bytes]) -> str:
    """Return the SHA-256 (hex) of names and contents, independent of their order."""
    total = hashlib.sha256()
    for name in sorted(contents):
        total.update(name.encode() + b"\0" + hashlib.sha256(contents[name]).digest())
    return total.hexdigest()


def _digest_files(files: Mapping[str, Path]) -> str:
    return digest_named({name: path.read_bytes() for name, path in files.items()})


def _code_files() -> Iterator[tuple[str, Path]]:
    for package in CODE_PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            root = Path(folder)
            for path in root.rglob("*"):
                if path.suffix in CODE_SUFFIXES:
                    inside = path.relative_to(root).as_posix()
                    yield f"{package.replace('.', '/')}/{inside}", path


def package_versions() -> dict[str, str]:
    """Return name -> version of Python and of the installed ``VERSIONED_PACKAGES``."""
    found = {"python": platform.python_version()}
    for name in VERSIONED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def host_hardware() -> dict[str, Any]:
    """Return the CPU name, cores usable by this process, memory in bytes and operating system."""
    return {
        "cpu": _cpu_name(),
        "cores": usable_cores(),
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


def usable_cores() -> int | None:
    """Return the number of CPU cores that this process may use, or None if unknown."""
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
    """Return the commit of the repository that tracks ``file``, and whether tracked files differ.

    ``(None, None)`` outside a repository, without git, or if the surrounding repository does not
    track the file, as for a virtual environment inside an unrelated repository.
    """
    if top_of(file) is None:
        return None, None
    commit = git(file.parent, "rev-parse", "HEAD")
    changes = git(file.parent, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None, None
    return commit.decode("ascii").strip(), bool(changes.strip())
