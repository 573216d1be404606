"""The command line as a user types it: keys, exit codes, one readable message, no traceback."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from efficiency_bench.cli import main
from efficiency_bench.ledger import store
from tests.campaign.tiny import TINY, command
from tests.ledger.factory import make_baseline, make_entry, make_target

LEDGER_LIST_KEYS = {
    "run_id",
    "experiment",
    "model",
    "recipe",
    "data",
    "seed",
    "tier",
    "end_reason",
    "reached",
    "target",
    "images",
    "epochs",
    "steps",
    "forward_macs",
    "paper3x_tfs_days",
    "exact_flops",
    "paper3x_to_target_tfs_days",
    "first_crossing_epochs",
    "sustained_crossing_epochs",
    "first_epoch_at_target",
    "weights_digest",
    "date",
    "source",
}
FIT_KEYS = {
    "halving_months",
    "low_months",
    "high_months",
    "reduction_factor",
    "r_squared",
    "n",
    "method",
    "variant",
    "rows",
}
SHORT = ("recipe.epochs=0.3", "target.value=1.0", "tracking.wandb=false")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which one short run was trained by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    options = ("experiment=shufflenet_v2_x1_0", *TINY, *SHORT, "run_dir=run", "ledger_dir=ledger")
    result = command("train", *options, "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result, options


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """The entry point in this process, in an empty folder: torch is imported once for all."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["efficiency-bench", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return CompletedProcess(arguments, left.value.code, printed.out, printed.err)

    return run


def refused(result, *words):
    """The user's mistake: exit 2, at most a few lines, every word named, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3, result.stderr
    for word in words:
        assert word in result.stderr


def test_train_json_is_the_entry_and_nothing_else(trained):
    folder, result, _ = trained
    entry = json.loads(result.stdout)
    assert set(entry) >= LEDGER_LIST_KEYS
    assert [entry["run_id"]] == [e.run_id for e in store.read(folder / "ledger").entries]
    assert entry["reached"] is False
    assert entry["end_reason"] == "schedule"


def test_the_same_command_on_a_finished_run_prints_its_entry_and_adds_none(trained):
    folder, first, options = trained
    again = command("train", *options, "--json", cwd=folder)
    assert again.returncode == 0
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert len(list((folder / "ledger").glob("*.json"))) == 1


def test_ledger_verbs_give_the_pages_keys(trained):
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


def test_a_sweep_runs_every_job_and_says_where_it_is(tmp_path):
    swept = ("experiment=shufflenet_v2_x1_0", "seed=0,1", *TINY, *SHORT, "ledger_dir=ledger")
    result = command("train", "-m", *swept, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [entry["seed"] for entry in json.loads(result.stdout)] == [0, 1]
    assert "run 2/2" in result.stderr


def test_fit_published_gives_the_golden_halving_time(tmp_path):
    result = command("fit", "published", "--json", cwd=tmp_path)
    fitted = json.loads(result.stdout)
    assert set(fitted) >= FIT_KEYS
    assert round(fitted["halving_months"], 1) == 15.7
    assert fitted["n"] == 6
    assert len(fitted["rows"]) == 16


def test_fit_on_a_ledger_joins_the_baseline_at_its_whole_schedule(tmp_path):
    target = make_target(source="baseline", baseline_run_ids=("a0",))
    store.append(tmp_path, make_baseline("a0"))
    for name, date in (("vgg11", "2014-09-04"), ("resnet18", "2015-12-10")):
        store.append(tmp_path, make_entry(name, model=name, date=date, target=target))
    result = command("fit", str(tmp_path), "--json", "--chart", "chart", cwd=tmp_path)
    assert json.loads(result.stdout)["n"] == 3, result.stderr
    assert {p.suffix for p in (tmp_path / "chart").iterdir()} == {".png", ".svg", ".html"}


def test_too_few_points_for_a_fit(tmp_path):
    store.append(tmp_path, make_entry("one"))
    refused(command("fit", str(tmp_path), cwd=tmp_path), "at least 3 rows")


def test_an_entry_that_is_no_json_or_newer_is_named_and_the_others_read(trained, tmp_path):
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["experiment=resnet81"], ["resnet18", "vgg11"]),
        (["experiment=resnet18", "data=mnist"], ["digits", "cifar10"]),
        (["experiment=resnet18", "recipe.epoch=3"], ["epochs"]),
        (["experiment=resnet18", "recipe.epochs=many"], ["many"]),
        (["experiment=resnet18", "model.name=lenet"], ["alexnet"]),
        (["model=resnet18"], ["experiment="]),
        (["suite=card"], ["-m"]),
        (["experiment=resnet18", "seed=0,1"], ["-m"]),
        (["experiment=resnet18", "target.value=79.1"], ["target.value=0.791"]),
        (["experiment=resnet18", "target.value=1.2"], ["fraction"]),
        (["experiment=resnet18", "target.value=0.5", "recipe.batch_size=5000"], ["1437"]),
        (["experiment=resnet18"], ["experiment=alexnet data=digits"]),
        (["experiment=alexnet", "form=imagenet"], ["form=small"]),
        (["experiment=resnet18", "data=cifar10", "data.download=false"], ["data.root"]),
        (["experiment=resnet18", "data=imagenet", "data.root=nowhere"], ["nowhere"]),
        (["experiment=resnet18", "device=tpu"], ["cuda"]),
        (["experiment=../../etc"], ["known"]),
        (["experiment=alexnet", "recipe.name=../x"], ["recipe.name"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in value[0] else "",
)
def test_a_users_mistake_is_one_readable_message(arguments, words, tmp_path, typed):
    refused(typed("train", *arguments, "tracking.wandb=false"), *words)
    assert not list(tmp_path.glob("runs/ledger/*"))


def test_a_ledger_folder_that_is_a_file(tmp_path, typed):
    (tmp_path / "ledger").write_text("")
    options = ("experiment=shufflenet_v2_x1_0", *TINY, *SHORT, "ledger_dir=ledger")
    refused(typed("train", *options), "ledger_dir=")


AUDIT_KEYS = {
    "model",
    "resolution_px",
    "forward_macs",
    "backward_macs",
    "first_layer_macs",
    "independent_forward_macs",
    "independent_backward_macs",
    "operators",
    "uncounted",
}


def test_audit_shows_both_counters(typed):
    result = typed("audit", "alexnet", "--json")
    row = json.loads(result.stdout)
    assert result.returncode == 0
    assert set(row) >= AUDIT_KEYS
    assert row["forward_macs"] == row["independent_forward_macs"] == 714_188_480
    assert row["backward_macs"] == row["independent_backward_macs"] == 1_358_100_160
    assert sum(row["operators"].values()) == row["forward_macs"]
    shown = typed("audit", "torchvision:mobilenet_v3_large", "--resolution", "64")
    assert shown.returncode == 0
    assert "agree to the integer" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_an_audit_that_finds_an_unknown_operator_lists_it_and_exits_1(typed, monkeypatch):
    from torch import nn

    from efficiency_bench.campaign import audit

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = nn.LSTM(3 * 8, 5, batch_first=True)

        def forward(self, x):
            return self.recurrent(x.permute(0, 2, 3, 1).flatten(2))[0][:, -1]

    monkeypatch.setattr(audit, "build_model", lambda name, **settings: Recurrent())
    result = typed("audit", "anything", "--resolution", "8", "--json")
    assert result.returncode == 1
    unknown = json.loads(result.stdout)["unknown"]
    assert {"operator": "aten::lstm", "module": "recurrent", "reason": "on no list"} in unknown


def test_a_network_that_cannot_be_trusted_is_refused_before_training(typed, monkeypatch, tmp_path):
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


def test_verify_a_trained_ledger_and_an_edited_one(trained):
    folder, _, _ = trained
    good = command("verify", "--ledger", "ledger", "--json", cwd=folder)
    (row,) = json.loads(good.stdout)
    assert good.returncode == 0, good.stdout
    assert row["ok"]
    assert (row["failures"], row["skipped"]) == ([], [])
    (path,) = (folder / "ledger").glob("*.json")
    before = path.read_text()
    content = json.loads(before)
    path.write_text(json.dumps({**content, "images": content["images"] + 1}))
    try:
        bad = command("verify", row["run_id"], "--ledger", "ledger", "--json", cwd=folder)
    finally:
        path.write_text(before)
    (edited,) = json.loads(bad.stdout)
    assert bad.returncode == 1
    assert not edited["ok"]
    found = {failure["rule"]: failure for failure in edited["failures"]}
    assert found["images: entry"]["expected"] == content["images"]
    assert found["images: entry"]["found"] == content["images"] + 1


def test_crossings_with_their_intervals(trained):
    folder, _, _ = trained
    result = command("ledger", "crossings", "--ledger", "ledger", "--json", cwd=folder)
    (row,) = json.loads(result.stdout)
    assert row["sustained_epochs"] is None, "its target of 100 % was not reached"
    assert row["high_epochs"] is None
    assert 0 <= row["low_epochs"] <= 0.4
    assert command("ledger", "crossings", "--ledger", "ledger", cwd=folder).returncode == 0


def test_verify_the_published_rows(typed):
    result = typed("verify", "--ledger", "published")
    assert result.returncode == 0
    assert "16 of 16 entries" in result.stdout


def test_conventions_from_the_published_rows(typed):
    rows = json.loads(typed("conventions", "published", "--json").stdout)["rows"]
    factors = {round(row["reduction_factor"], 1) for row in rows}
    months = [row["halving_months"] for row in rows]
    assert {44.9, 44.4, 41.7, 40.7} <= factors
    assert min(months) == pytest.approx(13.7, abs=0.05)
    assert max(months) == pytest.approx(17.3, abs=0.05)
    assert "over" in typed("conventions", "published").stdout


def test_a_sweep_of_the_published_rows_and_of_a_ledger(typed, tmp_path):
    rows = json.loads(typed("fit", "published", "--sweep", "0.5:0.93", "--json").stdout)["rows"]
    assert [round(row["halving_months"], 1) for row in rows] == [15.7]
    refused(typed("fit", "published", "--sweep", "nonsense"), "LOW:HIGH")


def test_the_papers_own_split(typed):
    rows = json.loads(typed("decompose", "published", "--json").stdout)
    last = rows[-1]
    assert last["model"] == "efficientnet_b0"
    assert typed("decompose", "published", "--from", "alexnet,small").returncode == 2


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


def test_every_verb_has_help():
    for verb in ([], ["train"], ["fit"], ["models"], ["ledger"], ["ledger", "list"]):
        result = command(*verb, "--help", cwd=Path())
        assert result.returncode == 0
        assert "Usage" in result.stdout


def test_the_makefile_has_the_targets_it_promises():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    assert {"env", "demo", "smoke", "test", "lint", "bench", "gpu-check", "help"} <= targets
