"""A retrained run: bit-exact here, and within the interval of one more seed elsewhere."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry, Provenance
from efficiency_bench.reproducibility.rerun import compare, reproduce
from efficiency_bench.run.run import run
from tests.commands import command
from tests.ledger.factory import make_baseline, make_entry
from tests.once import made_once
from tests.tiny import tiny

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with a run that sets a target, and one that was trained to it."""
    return made_once(tmp_path_factory, "committed", _commit) / "ledger"


def _commit(folder: Path) -> None:
    short = ("recipe.epochs=20", "recipe.batch_size=16")  # long enough for the baseline to learn
    for model in ("alexnet", "resnet18"):
        run(tiny(folder, f"experiment={model}", *short, f"run_dir={folder / model}"))


def test_a_retrained_run_matches_its_entry_and_leaves_the_ledger_alone(
    ledger: Path, tmp_path: Path
) -> None:
    before = {file: file.read_bytes() for file in ledger.rglob("*") if file.is_file()}
    for model in ("resnet18", "alexnet"):
        result = reproduce(ledger, model, None, tmp_path)
        assert result is not None
        assert result.ok
        assert result.differences == result.elsewhere == ()
        assert result.again.weights_digest == result.committed.weights_digest
        assert result.again.created_utc != result.committed.created_utc, "it was trained"
    assert {file: file.read_bytes() for file in ledger.rglob("*") if file.is_file()} == before


def test_the_command_prints_what_differs(ledger: Path, tmp_path: Path) -> None:
    """An entry of a different run: retraining does not reproduce its numbers."""
    forged = tmp_path / "forged"
    for entry in store.read(ledger).entries:
        if entry.model == "resnet18":
            entry = entry.model_copy(update={"weights_digest": "0" * 64})
        store.append(forged, entry)
    options = ("resnet18", "--ledger", "forged", "--out", "out")
    result = command("reproduce", *options, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert "NOT THE SAME" in result.stdout
    assert "weights_digest" in result.stdout
    row = json.loads(command("reproduce", *options, "--json", cwd=tmp_path).stdout)
    assert (row["ok"], row["same_bits"], row["elsewhere"]) == (False, False, [])
    missing = command("reproduce", "vgg", "--ledger", "forged", cwd=tmp_path)
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


def _moved(entry: Entry, cost: float | None, torch: str) -> Entry:
    provenance = Provenance(
        commit=None, dirty=None, code_digest="0" * 64, versions={"torch": torch}, hardware={}
    )
    return entry.model_copy(update={"paper3x_to_target_tfs_days": cost, "provenance": provenance})


def test_on_another_machine_a_run_must_lie_within_the_interval_of_one_more_seed() -> None:
    """Three seeds at 1, 2 and 4: geometric mean 2, factor 2 each way, t of 2 degrees 4.3027."""
    costs = (1e-6, 2e-6, 4e-6)
    seeds = [
        _moved(make_entry(model="resnet18", seed=seed), cost, "2.14.1")
        for seed, cost in zip(SEEDS, costs, strict=True)
    ]
    deviation = statistics.stdev(map(math.log2, costs))
    reach = 2 ** (4.302652729911275 * deviation * math.sqrt(4 / 3))
    for cost, ok in ((2e-6 * reach * 0.999, True), (2e-6 * reach * 1.001, False), (None, False)):
        result = compare(seeds[0], _moved(seeds[0], cost, "2.9.0"), seeds)
        assert result.elsewhere == ("torch: 2.9.0 here, 2.14.1 there",)
        assert result.ok is ok
        assert result.spread is not None
        assert result.spread.high == pytest.approx(2e-6 * reach)
        assert result.spread.low == pytest.approx(2e-6 / reach)
        here = compare(seeds[0], _moved(seeds[0], cost, "2.14.1"), seeds)
        assert not here.ok, "in the same place the spread excuses nothing"
    alone = compare(seeds[0], _moved(seeds[0], 1.1e-6, "2.9.0"), seeds[:1])
    assert alone.spread is None
    assert not alone.ok


def test_seeds_from_other_machines_count_towards_the_spread() -> None:
    """Threads, device and labels are recorded with a run but do not define its row."""
    here = {"recipe": {"epochs": 3.0, "citation": "here"}, "device": "cpu", "threads": 2}
    there = {"recipe": {"epochs": 3.0, "citation": "there"}, "device": "cuda", "threads": 8}
    longer = {**here, "recipe": {"epochs": 4.0, "citation": "here"}}
    seeds = [
        _moved(make_entry(seed=seed, config=config), 1e-6, "2.14.1")
        for seed, config in enumerate((here, there, {**there, "threads": None}, longer))
    ]
    result = compare(seeds[0], _moved(seeds[0], 1e-6, "2.9.0"), seeds)
    assert result.spread is not None
    assert result.spread.seeds == 3


def test_for_a_baseline_the_final_accuracy_is_compared() -> None:
    seeds = [make_baseline(f"run{seed}", seed=seed) for seed in SEEDS]
    result = compare(seeds[0], _moved(seeds[1], 1.0, "2.9.0"), seeds)
    assert result.spread is not None
    assert result.spread.quantity == "final top1"
    assert result.spread.seeds == len(SEEDS)


def test_a_published_row_cannot_be_retrained(tmp_path: Path) -> None:
    entry = make_entry().model_copy(update={"tier": "imported", "event_log": None})
    store.append(tmp_path, entry)
    with pytest.raises(UserError, match="nothing to repeat"):
        reproduce(tmp_path, entry.run_id, None, tmp_path / "out")
