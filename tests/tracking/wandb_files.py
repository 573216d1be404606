"""Reads back what wandb wrote, with wandb itself, and finds its remaining processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 120
"""Generous, since waiting ends as soon as the condition holds."""


def files(folder: Path) -> list[Path]:
    """The offline files in a run's folder, oldest first."""
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def records(path: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", path]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in read.stdout.splitlines()]


def of_kind(read: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in read if record["type"] == kind]


def rows(path: Path) -> list[dict[str, Any]]:
    """The logged rows, without wandb's own clock."""
    items = [history["item"] for history in of_kind(records(path), "history")]
    return [{k: v for k, v in i.items() if k not in ("_runtime", "_timestamp")} for i in items]


def expected_rows(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows expected for an event log: one per step, with its progress and evaluation."""
    by_step: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["event"] not in ("progress", "evaluation"):
            continue
        row = by_step.setdefault(event["steps"], {"_step": event["steps"]})
        for name in ("steps", "images", "epochs", "train_seconds", "paper3x_tfs_days"):
            row |= {name: event[name]} if name in event else {}
        if event["event"] == "progress":
            row["train_loss"] = event["loss"]
        else:
            row |= {"top1": event["top1"], "top5": event["top5"], "validation_loss": event["loss"]}
    return list(by_step.values())


def processes(marker: str) -> list[str]:
    """Command lines of the running processes with ``marker`` in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes()
            line = (place / "cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
        if marker.encode() in environment and line:
            found.append(line.replace(b"\0", b" ").decode())
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
