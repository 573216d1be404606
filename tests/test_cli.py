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


def test_every_verb_has_help():
    for verb in ([], ["train"], ["fit"], ["models"], ["ledger"], ["ledger", "list"]):
        result = command(*verb, "--help", cwd=Path())
        assert result.returncode == 0
        assert "Usage" in result.stdout


def test_the_makefile_has_the_targets_it_promises():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    assert {"env", "demo", "smoke", "test", "lint", "bench", "gpu-check", "help"} <= targets
