"""Verbs that train, as a user types them."""

import json

from efficiency_bench.ledger import store
from tests.cli.users import LEDGER_LIST_KEYS, SHORT, refused
from tests.commands import command
from tests.tiny import TINY


def test_train_json_prints_only_the_entry(trained):
    folder, result, _ = trained
    entry = json.loads(result.stdout)
    assert set(entry) >= LEDGER_LIST_KEYS
    assert [entry["run_id"]] == [e.run_id for e in store.read(folder / "ledger").entries]
    assert entry["reached"] is False
    assert entry["end_reason"] == "schedule"


def test_train_json_writes_progress_to_stderr_as_lines_of_json(trained):
    _, result, _ = trained
    entry = json.loads(result.stdout)
    lines = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    assert (lines[0]["event"], lines[-1]["event"]) == ("start", "end")
    assert {line["run_id"] for line in lines} == {entry["run_id"]}
    last = lines[-1]
    assert last["steps"] == last["total_steps"] == entry["steps"]
    assert last["accuracy"] == entry["evaluations"][-1]["top1"]
    assert last["paper3x_tfs_days"] == entry["paper3x_tfs_days"]


def test_repeating_a_finished_run_prints_its_entry_and_adds_none(trained):
    folder, first, options = trained
    again = command("train", *options, "--json", cwd=folder)
    assert again.returncode == 0
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert len(list((folder / "ledger").glob("*.json"))) == 1


def test_a_sweep_runs_every_job_and_shows_its_progress(tmp_path):
    swept = ("experiment=shufflenet_v2_x1_0", "seed=0,1", *TINY, *SHORT, "ledger_dir=ledger")
    result = command("train", "-m", *swept, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [entry["seed"] for entry in json.loads(result.stdout)] == [0, 1]
    assert "run 2/2" in result.stderr


def test_a_network_is_refused_before_training_if_the_counters_disagree(
    typed, monkeypatch, tmp_path
):
    from efficiency_bench.counting import operators

    right = operators.CONTRACTIONS["aten::linear"]
    wrong = {
        **operators.CONTRACTIONS,
        "aten::linear": lambda *a: tuple(p._replace(macs=2 * p.macs) for p in right(*a)),
    }
    monkeypatch.setattr(operators, "CONTRACTIONS", wrong)
    result = typed("train", "experiment=resnet18", *TINY, *SHORT, "run_dir=run")
    refused(result, "counters", "fc")
    assert not (tmp_path / "run" / "events.jsonl").exists()
