"""An entry is a function of its event log: the shipped entries are rebuilt from their logs."""

import gzip
import json
import os
from pathlib import Path

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.entry import entry_from_log
from efficiency_bench.ledger.store import content_digest
from efficiency_bench.records import TERAFLOPS_DAY, Entry
from efficiency_bench.run.run import run
from tests.run.factory import StopAt
from tests.tiny import tiny

LEDGER = Path(__file__).parents[2] / "runs" / "ledger"
RUNS = sorted(path.stem for path in LEDGER.glob("*.json"))
NOT_OF_THE_RUN = ("schema_version", "entry_digest", "event_log")
"""Fields that do not come from the run: schema version, digest, and path of the log."""

ROUNDED_MEANS = "3cbd549bb67a4bb8060fa4add8d06669439642dd6f79f4e24b265204abff8f06"
"""Digest of the code that computed the mean MACs per image from paper3x in floating point.  Later
code divides two integers.  In seven of its entries the two differ in the last bit."""


def written(entry: Entry) -> dict:
    """Return an entry as in its file, without the fields that do not come from the run."""
    content = entry.model_dump(mode="json")
    for name in NOT_OF_THE_RUN:
        del content[name]
    return content


def test_the_shipped_ledger_has_a_log_for_every_entry():
    assert len(RUNS) == len(list((LEDGER / "events").glob("*.jsonl.gz"))) >= 56


@pytest.mark.parametrize("run_id", RUNS)
def test_every_entry_of_the_shipped_ledger_comes_from_its_log_byte_for_byte(run_id):
    shipped = json.loads((LEDGER / f"{run_id}.json").read_text())
    log = gzip.decompress((LEDGER / "events" / f"{run_id}.jsonl.gz").read_bytes())
    made = entry_from_log(log, "elsewhere.jsonl")
    expected = {name: shipped[name] for name in shipped if name not in NOT_OF_THE_RUN}
    content = written(made)
    if shipped["schema_version"] < 3:  # before the network's own file had a digest
        assert content["provenance"].pop("network_digest") is None
    if shipped["provenance"]["code_digest"] == ROUNDED_MEANS:
        rounded = shipped["paper3x_tfs_days"] * TERAFLOPS_DAY / (3 * shipped["images"])
        assert shipped["forward_macs"] == rounded
        assert made.forward_macs == pytest.approx(rounded, rel=1e-15)
        expected["forward_macs"] = made.forward_macs
    assert json.dumps(content, indent=2) == json.dumps(expected, indent=2)
    assert made.event_log == "elsewhere.jsonl"
    assert made.entry_digest == content_digest(made)


SHORT = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=2", "recipe.batch_size=16")
LONGER = ("experiment=resnet18", "recipe.epochs=4")


def from_its_log(folder: Path) -> Entry:
    """Return the entry built from the log of ``folder``/run, for the ledger in ``folder``."""
    log = folder / "run" / "events.jsonl"
    return entry_from_log(log.read_bytes(), os.path.relpath(log, folder / "ledger"))


@pytest.mark.parametrize(
    "options",
    [
        (*LONGER, "target.value=0.3", "evaluation.per_epoch_near=9"),
        (*SHORT, "target.value=0.99"),
        (*LONGER, "target.value=0.3", "estimand=budgeted"),
        ("experiment=alexnet", "recipe.epochs=1"),
    ],
    ids=["arrives", "misses", "budgeted", "baseline"],
)
def test_the_entry_of_a_fresh_run_and_its_copies_equal_the_one_from_its_log(options, tmp_path):
    entry = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}")).entry
    assert from_its_log(tmp_path) == entry
    assert store.read(tmp_path / "ledger").entries == (entry,)
    assert Entry.model_validate_json((tmp_path / "run" / "entry.json").read_text()) == entry


def test_the_entry_of_a_resumed_run_equals_the_one_from_its_log_with_repeated_work(tmp_path):
    config = tiny(tmp_path, *SHORT, "target.value=0.99", f"run_dir={tmp_path / 'run'}")
    assert run(config, stop_requested=StopAt(7)).entry is None
    assert run(config, stop_requested=StopAt(12)).entry is None
    max((tmp_path / "run").glob("checkpoint-*.pt")).write_bytes(b"spoiled")
    entry = run(config).entry
    assert from_its_log(tmp_path) == entry
    # an epoch of 300 has 19 steps; the second attempt went from step 7 to step 19: 300 - 112
    assert entry.repeated_images == 300 - 7 * 16


def log_of(run_id: str) -> bytes:
    return gzip.decompress((LEDGER / "events" / f"{run_id}.jsonl.gz").read_bytes())


@pytest.mark.parametrize(
    "harm",
    [
        lambda log: b"",
        lambda log: log[:-5],
        lambda log: log[: log.rindex(b"\n", 0, -1) + 1],
        lambda log: log + b"\0" * 100,
        lambda log: log.replace(b'"event": "evaluation"', b'"event": "evaluatiom"', 1),
        lambda log: log.split(b"\n", 1)[1],
    ],
    ids=["empty", "torn", "no end", "NULs", "changed", "no start"],
)
def test_an_incomplete_log_gives_an_error_and_no_entry(harm):
    with pytest.raises(UserError, match=r"events\.jsonl"):
        entry_from_log(harm(log_of(RUNS[0])), "events.jsonl")
