"""`efficiency-bench ledger`: JSON keys, invalid files, imports."""

import gc
import json

from efficiency_bench.ledger import export, store
from tests.cli.users import LEDGER_LIST_KEYS, SHORT, refused
from tests.commands import command
from tests.ledger.factory import make_entry
from tests.tiny import TINY


def test_ledger_verbs_print_the_documented_keys(trained):
    folder, result, _ = trained
    listed = command("ledger", "list", "--ledger", "ledger", "--json", cwd=folder)
    (row,) = json.loads(listed.stdout)
    assert set(row) >= LEDGER_LIST_KEYS
    assert set(row["target"]) == {"metric", "value"}
    assert (row["model"], row["data"], row["tier"]) == ("shufflenet_v2_x1_0", "digits", "measured")
    shown = command("ledger", "show", row["run_id"][:20], "--ledger", "ledger", cwd=folder)
    assert json.loads(shown.stdout) == json.loads(result.stdout)
    exported = command("ledger", "export", "--ledger", "ledger", cwd=folder)
    assert row["run_id"] in exported.stdout
    refused(command("ledger", "export", "--format", "xml", "--ledger", "ledger", cwd=folder), "csv")


def test_invalid_or_newer_entries_are_named_and_the_others_read(trained, tmp_path):
    folder, _, _ = trained
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    (good,) = (folder / "ledger").glob("*.json")
    text = good.read_text()
    (ledger / good.name).write_text(text)
    (ledger / "broken.json").write_text(text[:100])
    newer = json.loads(text) | {"schema_version": 99, "run_id": "newer"}
    (ledger / "newer.json").write_text(json.dumps(newer))
    result = command("ledger", "list", "--ledger", str(ledger), "--json", cwd=tmp_path)
    assert result.returncode == 0
    assert len(json.loads(result.stdout)) == 1
    assert "broken.json" in result.stderr
    assert "newer.json" in result.stderr


def test_a_ledger_folder_that_is_a_file(tmp_path, typed):
    (tmp_path / "ledger").write_text("")
    options = ("experiment=shufflenet_v2_x1_0", *TINY, *SHORT, "ledger_dir=ledger")
    refused(typed("train", *options), "ledger_dir=")


def test_crossings_have_intervals(trained):
    folder, _, _ = trained
    result = command("ledger", "crossings", "--ledger", "ledger", "--json", cwd=folder)
    (row,) = json.loads(result.stdout)
    assert row["sustained_epochs"] is None, "its target of 100 % was not reached"
    assert row["high_epochs"] is None
    assert 0 <= row["low_epochs"] <= 0.4
    assert command("ledger", "crossings", "--ledger", "ledger", cwd=folder).returncode == 0


def test_import_adds_a_curve_once(typed, tmp_path):
    curve = tmp_path / "someone_resnet50.tsv"
    curve.write_text(
        "epoch\thours\ttop1Accuracy\ttop5Accuracy\n"
        "1\t0.1\t30.0\t55.0\n2\t0.2\t50.0\t75.0\n3\t0.3\t60.0\t82.0\nnonsense\n4\t0.4\t62\t84\n"
    )
    curve.with_suffix(".json").write_text(
        json.dumps(
            {
                "version": "v1.0",
                "author": "Someone",
                "model": "ResNet-50",
                "timestamp": "2018-04-20",
            }
        )
    )
    first = typed("ledger", "import", "dawnbench", str(curve), "--ledger", "ledger")
    assert first.returncode == 0, first.stderr
    assert "imported 1 entries" in first.stdout
    assert "line 5" in first.stderr
    (row,) = json.loads(typed("ledger", "list", "--ledger", "ledger", "--json").stdout)
    assert row["tier"] == "imported"
    assert row["first_epoch_at_target"] == 3
    assert (
        "1 already there"
        in typed("ledger", "import", "dawnbench", str(curve), "--ledger", "ledger").stdout
    )
    assert typed("verify", "--ledger", "ledger").returncode == 0


def test_costs_of_each_run(trained):
    folder, result, _ = trained
    listed = command("ledger", "costs", "--ledger", "ledger", "--json", cwd=folder)
    (row,) = json.loads(listed.stdout)
    entry = json.loads(result.stdout)
    assert row["train_seconds"] == entry["clocks"]["train_seconds"] > 0
    peak = entry["cost"]["peak_flops_per_second"]
    assert row["share_of_peak"] == row["achieved_flops_per_second"] / peak
    assert row["dollars"] is None, "no price was named"
    table = command("ledger", "costs", "--ledger", "ledger", cwd=folder)
    assert "unknown" in table.stdout


def test_the_collector_is_off_while_entries_are_listed(typed, tmp_path, monkeypatch):
    states = []
    monkeypatch.setattr(export, "row", lambda entry: states.append(gc.isenabled()))
    store.append(tmp_path, make_entry("one"))
    assert typed("ledger", "list", "--ledger", str(tmp_path), "--json").stdout == "[\n  null\n]\n"
    assert states == [False]
    assert gc.isenabled()
