"""Real configurations shrunk to seconds: composed by Hydra, trained for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module

from efficiency_bench import config, hydra_app  # noqa: F401  (registers the schema)
from efficiency_bench.config import RunConfig

TINY = ("data=digits", "data.train_images=300", "data.val_images=100", "device=cpu", "threads=1")


def composed(*overrides: str) -> RunConfig:
    """What the command line would make of ``overrides``."""
    with initialize_config_module("efficiency_bench.configs", version_base="1.3"):
        return config.load(compose("train", overrides=list(overrides)))


def tiny(folder: Path, *overrides: str) -> RunConfig:
    """A run on 300 digits, its run folder and ledger in ``folder``."""
    places = (f"ledger_dir={folder / 'ledger'}", "tracking.wandb=false")
    return composed(*TINY, *places, *overrides)


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
