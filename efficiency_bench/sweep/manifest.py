"""A sweep on disk: its manifest, written before any run starts, and a note per run.

``runs/sweeps/<name>/sweep.json`` is the manifest.  ``<number>.json`` in the same folder is the
note of run ``<number>``: its folder, or why it could not start.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from efficiency_bench import config as configuration
from efficiency_bench.config import RunConfig, measured_part
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.files import put, read_regular
from efficiency_bench.provenance import digest_json
from efficiency_bench.run.folder import RUNS

SWEEPS = RUNS / "sweeps"
MANIFEST = "sweep.json"
FORMAT = 1
"""Format version of the manifest; other versions are rejected."""

LARGEST_BYTES = 1 << 26
"""64 MiB: a sweep of ten thousand runs takes 30."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


class PlannedRun(BaseModel):
    """One run of a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The overrides that distinguish it in the sweep: ``experiment=resnet18 seed=1``."""
    config: dict[str, Any]
    """The full configuration, as plain values."""


class Sweep(BaseModel):
    """The manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    """Depends only on the runs, not on how they are started."""
    command: str
    """The command that last started it."""
    written_utc: str
    runs: tuple[PlannedRun, ...]

    @property
    def folder(self) -> Path:
        """The folder of the manifest and the notes."""
        return SWEEPS / self.name

    @property
    def numbers(self) -> range:
        """The runs' numbers, from 1."""
        return range(1, len(self.runs) + 1)

    def config(self, number: int) -> RunConfig:
        """The configuration of run ``number``, checked against the current keys.

        The runs of a sweep share a tracking group: the configured one, else the suite's name, else
        the sweep's name.
        """
        config = configuration.from_plain(self.runs[number - 1].config)
        config.tracking.group = config.tracking.group or config.suite or self.name
        return config


class RunNote(BaseModel):
    """What a run of a sweep records about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_dir: str | None = None
    """The run's folder, once it is known."""
    run_id: str | None = None
    """Run id of the entry that was found or written."""
    problem: str | None = None
    """Why it could not start or finish: a mistake in its configuration, missing data."""
    left_out: bool = False
    """Whether ``problem`` says why its budget need not be trained, which is no mistake."""
    job: str | None = None
    """Slurm id of the last job that trained it."""


def planned(runs: Sequence[tuple[RunConfig, Sequence[str]]], command: str) -> Sweep:
    """The sweep of these configurations with their Hydra overrides; its name hashes the runs.

    Raises UserError if two runs have the same folder.
    """
    configs = [config for config, _ in runs]
    folders = [config.run_dir for config in configs if config.run_dir is not None]
    if twice := {folder for folder in folders if folders.count(folder) > 1}:
        raise UserError(
            f"several runs of the sweep have run_dir={twice.pop()}; leave run_dir out, each run"
            " then has its own,\nor let it differ: run_dir='somewhere/${experiment}-${seed}'"
        )
    shared = set.intersection(*(set(overrides) for _, overrides in runs))
    names = [
        " ".join(o for o in overrides if o not in shared and not o.startswith("run_dir="))
        for _, overrides in runs
    ]
    measured = [(measured_part(c), c.run_dir, c.ledger_dir) for c in configs]
    suite = re.sub(r"[^A-Za-z0-9_-]", "-", configs[0].suite or "sweep")
    return Sweep(
        name=f"{suite}-{digest_json(measured)[:10]}",
        command=command,
        written_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        runs=tuple(
            PlannedRun(name=name or f"run {number}", config=asdict(config))
            for number, (name, config) in enumerate(zip(names, configs, strict=True), start=1)
        ),
    )


def write(sweep: Sweep) -> None:
    """Write the manifest atomically.  Raises UserError if the disk refuses the write."""
    try:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        put(sweep.folder / MANIFEST, f"{sweep.model_dump_json(indent=2)}\n".encode())
    except OSError as error:
        raise UserError(
            f"cannot write {sweep.folder / MANIFEST}: {error.strerror or error}; free some space"
            " or make the folder writable"
        ) from error


def read(folder: Path) -> Sweep:
    """The manifest in ``folder``.  Raises UserError if there is no valid one."""
    path = folder / MANIFEST
    try:
        sweep = Sweep.model_validate_json(read_regular(path, LARGEST_BYTES))
    except OSError as error:
        raise UserError(
            f"no sweep to read at {path}: {error.strerror}; to write it, run the command that"
            " started the sweep again"
        ) from error
    except ValidationError as error:
        raise UserError(
            f"{path} is not a valid manifest; to rewrite it, run the command that started the sweep"
            " again"
        ) from error
    if sweep.format != FORMAT or sweep.name != folder.name:
        raise UserError(
            f"{path} is of another version, or of another sweep ({sweep.name});\n"
            "to rewrite it, run the command that started the sweep again"
        )
    return sweep


def find(name: str | None) -> Sweep:
    """The sweep named ``name`` or the only one with that prefix; None: the latest.

    Raises UserError if there is none, with the command that starts one.
    """
    paths = sorted(SWEEPS.glob(f"*/{MANIFEST}"), key=lambda path: path.lstat().st_mtime)
    if not paths:
        raise UserError(
            f"no sweep in {SWEEPS}; start one here:"
            " efficiency-bench train -m suite=card data=digits"
        )
    names = [path.parent.name for path in paths]
    if name is None:
        return read(SWEEPS / names[-1])
    matches = [name] if name in names else [n for n in names if name and n.startswith(name)]
    if len(matches) > 1:
        raise UserError(
            f"{name!r} matches several sweeps; type more of one name: {', '.join(matches)}"
        )
    if not matches or not _SAFE_NAME.fullmatch(matches[0]):
        raise unknown("sweep", name, names)
    return read(SWEEPS / matches[0])


def write_note(folder: Path, number: int, note: RunNote) -> None:
    """Replace the note of run ``number``.  Raises UserError if the disk refuses the write."""
    path = folder / f"{number}.json"
    try:
        put(path, f"{note.model_dump_json(indent=2)}\n".encode())
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free some space or make the folder"
            " writable"
        ) from error


def read_note(folder: Path, number: int) -> RunNote:
    """The note of run ``number``; empty if there is none."""
    path = folder / f"{number}.json"
    try:
        return RunNote.model_validate_json(read_regular(path, LARGEST_BYTES))
    except FileNotFoundError:
        return RunNote()
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path} is not a valid note of a run; remove it, the run writes it again"
        ) from error
