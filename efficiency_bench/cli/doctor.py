"""The verb that says what this machine has and lacks; it imports no torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from efficiency_bench.cli.shared import DEFAULT_LEDGER, Json, LedgerDir, print_json, stdout_console
from efficiency_bench.provenance import usable_cores

TRIED = {"torch": "2.14.1", "torchvision": "0.29.1", "timm": "1.0.31"}
"""The versions of constraints.txt, with which everything is tested."""

LEAST_TORCH, MINORS_APART = (2, 9), 15
"""Oldest supported torch; torchvision 0.N + 15 is built for torch 2.N."""

PYTHONS = ((3, 11), (3, 13))
LEAST_FREE_GB = 5
"""Checkpoints, logs and the smaller data sets; ImageNet needs 150 GB more."""

NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
NVIDIA_SMI_SECONDS = 5
PIP = "pip install 'efficiency-bench[{}]'"


class Part(NamedTuple):
    """One part of the machine; the fields are the keys of ``doctor --json``."""

    name: str
    found: bool
    version: str | None
    works: bool
    advice: str | None
    """What it is for and what to type; None: it works."""


def doctor(ledger: LedgerDir = DEFAULT_LEDGER, as_json: Json = False) -> None:
    """Show what this machine has and lacks, and what to type to add it.

    Only Python, torch, torchvision, disk and folders are needed to train; the rest is optional.
    Takes about a second and changes nothing.  The exit code is 0 whatever is missing.
    """
    parts = list(examine(ledger))
    if as_json:
        print_json([part._asdict() for part in parts])
        return
    from efficiency_bench.report.tables.layout import ABSENT, bare_table

    table = bare_table()
    table.add_column("part", no_wrap=True)
    table.add_column("works", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=2)
    table.add_column("what to type", overflow="fold", ratio=3)
    for part in parts:
        works = "yes" if part.works else "no"
        table.add_row(part.name, works, part.version or ABSENT, part.advice or "")
    stdout_console().print(table)


def examine(ledger: Path) -> Iterator[Part]:
    """Yield every part in the order in which a newcomer needs them."""
    oldest, newest = PYTHONS
    python = oldest <= tuple(map(int, platform.python_version_tuple()[:2])) <= newest
    advice = "3.11 to 3.13 are supported: make env PYTHON=python3.12"
    yield _part("Python", platform.python_version(), python, advice)
    torch, torchvision = _installed("torch"), _installed("torchvision")
    advice = (
        f"2.9 or newer: pip install torch=={TRIED['torch']} torchvision=={TRIED['torchvision']}"
    )
    yield _part("torch", torch, _numbers(torch) >= LEAST_TORCH, advice, TRIED["torch"])
    pair = _numbers(torchvision)[1:] == tuple(n + MINORS_APART for n in _numbers(torch)[1:])
    advice = f"must match torch: {advice.partition(': ')[2]}"
    yield _part("torchvision", torchvision, pair, advice, TRIED["torchvision"])
    yield _cuda(torch)
    cores = usable_cores() or "unknown"
    yield _part("CPU cores", f"{cores} of {os.cpu_count()}", True, "")
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    advice = f"free space here: {LEAST_FREE_GB} GB at least, and 150 GB more for ImageNet"
    yield _part("disk", f"{free:.0f} GB free", free >= LEAST_FREE_GB, advice)
    for name, folder, key in (("runs", Path("runs"), "run_dir"), ("ledger", ledger, "ledger_dir")):
        advice = f"chmod u+w {folder}, or another folder: {key}=DIR"
        yield _part(f"{name} folder", str(folder), _writable(folder), advice)
    timm = _installed("timm")
    yield _part("timm", timm, True, f"for models timm:NAME: {PIP.format('models')}", TRIED["timm"])
    yield _part("FFCV", _installed("ffcv"), True, "for data=imagenet_ffcv: make ffcv")
    yield _slurm()
    yield _wandb()


def _part(name: str, found: str | None, works: bool, advice: str, tried: str | None = None) -> Part:
    """A part that was found as ``found`` (None: missing), with the version that was ``tried``."""
    works = works and found is not None
    differs = found is not None and tried is not None and found.partition("+")[0] != tried
    shown = f"{found}, tried: {tried}" if differs else found
    return Part(name, found is not None, shown, works, None if works else advice)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _numbers(text: str | None) -> tuple[int, ...]:
    """Major and minor version; empty if the package is missing."""
    return tuple(map(int, text.split(".")[:2])) if text else ()


def _cuda(torch: str | None) -> Part:
    """The GPUs that the driver lists; torch is not asked, since importing it takes seconds."""
    try:
        asked = subprocess.run(
            NVIDIA_SMI, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True
        )
        cards = ", ".join(asked.stdout.split("\n")).strip(", ") or None
    except (OSError, subprocess.SubprocessError):
        cards = None
    if cards and (torch or "").endswith("+cpu"):
        advice = f"this torch is built without CUDA: pip install torch=={TRIED['torch']}"
        return _part("CUDA", cards, False, advice)
    return _part("CUDA", cards, True, "no GPU: runs train on the CPU (device=cpu); try nvidia-smi")


def _slurm() -> Part:
    advice = "for hydra/launcher=slurm: log in to a machine of the cluster that has sbatch"
    if (sbatch := shutil.which("sbatch")) and not _installed("hydra-submitit-launcher"):
        return _part("Slurm", sbatch, False, f"for hydra/launcher=slurm: {PIP.format('cluster')}")
    return _part("Slurm", sbatch, True, advice)


def _wandb() -> Part:
    from efficiency_bench.tracking.wandb_mirror import has_key

    installed, key = _installed("wandb"), has_key()
    shown = installed and f"{installed}, {'key present' if key else 'no key'}"
    return _part("W&B", shown, key, "wandb login; without a key runs stay offline")


def _writable(folder: Path) -> bool:
    """Whether files can be created in ``folder``, or the folder itself if it is missing."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
