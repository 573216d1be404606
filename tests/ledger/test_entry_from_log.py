"""An entry is a function of its event log: entries old and new are rebuilt from their logs."""

import gzip
import json
import os
from pathlib import Path

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.entry import entry_from_log
from efficiency_bench.ledger.store import content_digest
from efficiency_bench.records import Entry
from efficiency_bench.run.run import run
from tests.ledger.recorded import BUDGETED, LEDGER, MISSED, REACHED
from tests.run.factory import StopAt
from tests.tiny import tiny

NOT_OF_THE_RUN = ("schema_version", "entry_digest", "event_log")
"""Fields that do not come from the run: schema version, digest, and path of the log."""


def log_of(run_id: str) -> bytes:
    return gzip.decompress((LEDGER / "events" / f"{run_id}.jsonl.gz").read_bytes())


def written(entry: Entry) -> dict:
    """Return an entry as in its file, without the fields that do not come from the run."""
    content = entry.model_dump(mode="json")
    for name in NOT_OF_THE_RUN:
        del content[name]
    return content


@pytest.mark.parametrize("run_id", [REACHED, MISSED, BUDGETED])
def test_an_old_entry_comes_from_its_log_byte_for_byte(run_id):
    recorded = json.loads((LEDGER / f"{run_id}.json").read_text())
    made = entry_from_log(log_of(run_id), "elsewhere.jsonl")
    expected = {name: recorded[name] for name in recorded if name not in NOT_OF_THE_RUN}
    content = written(made)
    # schema 2 is from before the network's own file had a digest, and before budgets
    assert (recorded["schema_version"], content["provenance"].pop("network_digest")) == (2, None)
    assert content.pop("classes") == 10
    later = ("budget_asked", "budget", "rates", "parameters")
    assert [content.pop(name) for name in later] == [None] * 4
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
        entry_from_log(harm(log_of(REACHED)), "events.jsonl")
