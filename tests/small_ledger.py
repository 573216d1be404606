"""A ledger of several rows, each trained for real on 300 digits: about fifteen seconds in all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from efficiency_bench.run.run import run
from tests.once import made_once
from tests.tiny import tiny

QUICK = ("recipe.batch_size=16", "model.scale=0.25")
SHORT = ("recipe.epochs=10", *QUICK)
PLAIN = ("recipe=small_plain", "recipe.optimizer.lr=0.05", *SHORT)
TRAINED = {
    "baseline": ("experiment=alexnet", "recipe.epochs=14", *QUICK),
    "shufflenet plain": ("model=shufflenet_v2_x1_0", *PLAIN),
    "shufflenet modern": ("model=shufflenet_v2_x1_0", "recipe=small_modern", *SHORT),
    "mobilenet plain": ("model=mobilenet_v1", *PLAIN),
    "mobilenet modern": ("model=mobilenet_v1", "recipe=small_modern", *SHORT),
    "misses": ("model=squeezenet1_1", "recipe=small_plain", "recipe.epochs=2", *QUICK),
    "budgeted": ("model=mobilenet_v1", "recipe=small_modern", "estimand=budgeted", *SHORT),
}
CORNERS = ("--from", "mobilenet_v1,small_plain", "--to", "shufflenet_v2_x1_0,small_modern")
"""Of the two networks with two recipes each, as `decompose` takes them."""


@dataclass(frozen=True)
class SmallLedger:
    """A read-only ledger; copy it before writing."""

    folder: Path
    run_ids: dict[str, str]
    """By the names of TRAINED."""


@pytest.fixture(scope="session")
def small_ledger(tmp_path_factory: pytest.TempPathFactory) -> SmallLedger:
    folder = made_once(tmp_path_factory, "small_ledger", _train)
    entries = (folder / name / "entry.json" for name in TRAINED)
    run_ids = [json.loads(path.read_bytes())["run_id"] for path in entries]
    return SmallLedger(folder / "ledger", dict(zip(TRAINED, run_ids, strict=True)))


def _train(folder: Path) -> None:
    for name, options in TRAINED.items():
        entry = run(tiny(folder, *options, f"run_dir={folder / name}")).entry
        assert entry is not None
        # a budgeted run ends without a target
        reached = {"misses": False, "budgeted": None}.get(name, True)
        assert entry.reached is reached, (name, entry.end_reason)
