"""The horizon search on real digits: trials in the ledger, verified; killed, it goes on."""

import json
import time

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.horizon.search import own_settings
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from tests.commands import Running, command
from tests.tiny import TINY, events_of

SEARCH = (
    "horizon",
    "experiment=resnet18",
    *TINY,
    "target.value=0.8",
    "recipe.epochs=3",
    "seeds=2",
    "budget=20epochs",
    "tracking.wandb=false",
    "--json",
)


def second_trial_under_way(folder):
    """Its events file, once a checkpoint lies beside it; None before."""
    if not list((folder / "runs/ledger").glob("*.json")):
        return None
    saved = [path.parent for path in (folder / "runs").glob("*/checkpoint-*.sha256")]
    unfinished = [run for run in saved if not (run / "entry.json").exists()]
    return unfinished[0] if unfinished else None


def killed_in_its_second_trial(folder):
    """Kill the search with SIGKILL there; the folder of the trial that was under way."""
    until = time.monotonic() + 240
    with Running(*SEARCH, cwd=folder) as process:
        try:
            while (run := second_trial_under_way(folder)) is None:
                assert process.returncode is None, "it ended before its second trial was saved"
                assert time.monotonic() < until
                time.sleep(0.01)
        finally:
            process.kill()
    return run


def told(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same search undisturbed, and killed and taken up again."""
    whole, broken = (tmp_path_factory.mktemp(name) for name in ("whole", "broken"))
    undisturbed = told(command(*SEARCH, cwd=whole))
    run = killed_in_its_second_trial(broken)
    resumed = told(command(*SEARCH, cwd=broken))
    return undisturbed, resumed, run, broken


def test_a_killed_search_goes_on_and_ends_with_the_same_answer(both):
    undisturbed, resumed, run, _ = both
    assert resumed == undisturbed
    assert [e["event"] for e in events_of(run)].count("resume") == 1


def test_every_trial_is_an_entry_that_verifies_and_is_budgeted(both):
    _, resumed, _, folder = both
    ledger = folder / "runs/ledger"
    entries = [json.loads(path.read_text()) for path in ledger.glob("*.json")]
    assert {e["run_id"] for e in entries} == {t["run_id"] for t in resumed["trials"]}
    assert {e["estimand"] for e in entries} == {"budgeted"}
    results = verify_ledger(str(ledger), None, None)
    assert [r.failures for r in results if not r.ok] == []
    for entry in entries:
        final = entry["evaluations"][-1]["top1"]
        assert entry["reached"] == (final >= 0.8)
        charged = entry["paper3x_tfs_days"] if entry["reached"] else None
        assert entry["paper3x_to_target_tfs_days"] == charged


def test_the_answer_has_the_fixed_keys_and_stays_within_its_budget(both):
    row = both[0]
    fixed = {"experiment", "target", "epochs", "low_epochs", "high_epochs"}
    assert fixed | {"paper3x_tfs_days", "trials", "decided"} <= row.keys()
    assert sum(trial["epochs"] for trial in row["trials"]) <= 20 * 1.05  # whole steps round
    again = [t for t in row["trials"] if t["accuracy"] >= 0.8]
    assert all(t["reached"] for t in again)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("budget=200", "unit"),
        ("budget=0epochs", "unit"),
        ("seeds=0", "whole number"),
        ("run_dir=x", "leave it out"),
        ("estimand=anytime", "leave it out"),
    ],
)
def test_a_mistake_says_what_to_type(text, word):
    with pytest.raises(UserError, match=word):
        own_settings(["experiment=resnet18", text])


def test_its_own_settings_are_taken_from_hydras():
    found = own_settings(["experiment=resnet18", "seeds=5", "budget=5e7images"])
    assert found == (["experiment=resnet18"], 5, (5e7, "images"))
