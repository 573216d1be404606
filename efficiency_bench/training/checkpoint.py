"""Checkpoints: atomic snapshots of a run's state on disk.

Each is a file ``checkpoint-<steps>.pt`` with its SHA-256 in ``checkpoint-<steps>.sha256``.  Both
are written to a temporary file, synced to disk and renamed, the digest first: a checkpoint
without a digest was never finished.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from efficiency_bench.files import put

KEPT = 2
"""Checkpoints kept: the newest, and the one before it in case the newest is corrupt."""

FORMAT = 2
"""Version of the state's layout; a run does not resume from a checkpoint of another format."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved state and its metadata."""

    path: Path
    steps: int
    state: dict[str, Any]
    about: dict[str, Any]
    """Metadata of the caller: the run that it belongs to, the length of the event log."""


def save(folder: Path, steps: int, state: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
    """Write a checkpoint of ``steps`` into ``folder`` and remove all but the newest two.

    ``state`` holds tensors, numbers, strings, lists and dictionaries.  Raises OSError if the write
    fails; earlier checkpoints are then unchanged.
    """
    content = io.BytesIO()
    torch.save({"format": FORMAT, "about": dict(about), "state": dict(state)}, content)
    data = content.getvalue()
    path = folder / f"checkpoint-{steps:09d}.pt"
    put(_digest_path(path), hashlib.sha256(data).hexdigest().encode())
    put(path, data)
    for old in present(folder)[KEPT:]:
        # the checkpoint first: a lone digest is ignored, a lone checkpoint looks unfinished
        old.unlink(missing_ok=True)
        _digest_path(old).unlink(missing_ok=True)
    return path


def usable(folder: Path, problems: list[str]) -> Iterator[Checkpoint]:
    """Yield the valid checkpoints in ``folder``, newest first; list the others in ``problems``.

    They are loaded onto the CPU, without running code from the file (``weights_only``).
    """
    for path in present(folder):
        checkpoint = read(path)
        if isinstance(checkpoint, str):
            problems.append(f"{path.name}: {checkpoint}")
        else:
            yield checkpoint


def read(path: Path) -> Checkpoint | str:
    """The checkpoint in ``path``, or why it cannot be used."""
    try:
        data = path.read_bytes()
        written = _digest_path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        return f"unfinished or unreadable ({error})"
    if hashlib.sha256(data).hexdigest() != written:
        return "its content does not match its .sha256 file: truncated or changed"
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if found["format"] != FORMAT:
            return f"format {found['format']}, not {FORMAT}"
        return Checkpoint(path, int(found["state"]["steps"]), found["state"], found["about"])
    except Exception as error:  # torch raises a dozen kinds, depending on the content
        reason = str(error).splitlines() or [type(error).__name__]
        return f"not a checkpoint: {reason[0]}"


def remove_all(folder: Path) -> None:
    """Remove every checkpoint of a finished run, and the leftovers of interrupted writes."""
    for path in [
        *present(folder),
        *folder.glob("checkpoint-*.sha256"),
        *folder.glob(".checkpoint-*"),
    ]:
        path.unlink(missing_ok=True)
        _digest_path(path).unlink(missing_ok=True)


def present(folder: Path) -> list[Path]:
    """Paths of all checkpoints, valid or not, newest first (file names sort by step)."""
    return sorted(folder.glob("checkpoint-*.pt"), reverse=True)


def _digest_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def weights_digest(model: nn.Module) -> str:
    """SHA-256 (hex) of weights and buffers: name, dtype, shape and bytes, in order of name."""
    digest = hashlib.sha256()
    state = model.state_dict()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
