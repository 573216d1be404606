"""One short run for all tests of mirrors, and an environment in which wandb has no key."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from efficiency_bench.records import Entry
from efficiency_bench.run.run import run
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror
from tests.tiny import events_of, tiny
from tests.tracking import wandb_files

OPTIONS = (
    "experiment=shufflenet_v2_x1_0",
    "recipe.epochs=2",
    "target.value=0.9",
    "evaluation.per_epoch=2",
)


@dataclass(frozen=True)
class Trained:
    """A run trained without a mirror."""

    folder: Path
    ledger_dir: Path
    events: list[dict[str, Any]]
    entry: Entry

    def shown_to(self, mirror: WandbMirror, streaming: Callable[[], bool] = lambda: True) -> None:
        """Send every event to a mirror, as the run would have; close it once it is streaming.

        The client takes seconds to start on a busy machine, which closing would count as silence.
        """
        for event in self.events:
            mirror(event)
        mirror({"event": "entry", "entry": self.entry})
        wandb_files.wait_for(streaming)
        mirror.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    outcome = run(tiny(folder, *OPTIONS, f"run_dir={folder / 'run'}"))
    assert outcome.entry is not None
    events = events_of(folder / "run")
    return Trained(folder / "run", folder / "ledger", events, outcome.entry)


@pytest.fixture
def said() -> list[str]:
    """The messages that a session printed."""
    return []


@pytest.fixture
def session(keyless: None, said: list[str]) -> Session:
    return Session(said.append)


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no mode, and an empty home directory."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


def contents(folder: Path) -> str:
    """Every file under a folder as one text, names included."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path))
        if path.is_file():
            parts.append(path.read_bytes().decode("latin1"))
    return json.dumps(parts)
