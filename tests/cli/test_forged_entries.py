"""Forged entries whose digests were all recomputed: `verify` exits with 1 for each."""

import json

import pytest

from efficiency_bench import provenance
from efficiency_bench.ledger import store
from efficiency_bench.run.run import run
from efficiency_bench.verify import LedgerIndex, verify
from tests.ledger.forging import Forgery
from tests.tiny import tiny

OPTIONS = ("recipe.epochs=2", "recipe.batch_size=32", "target.value=0.999")


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """A ledger with one genuine run."""
    folder = tmp_path_factory.mktemp("genuine")
    run(tiny(folder, "experiment=shufflenet_v2_x1_0", *OPTIONS, f"run_dir={folder / 'run'}"))
    return folder / "ledger"


@pytest.fixture
def forgery(genuine):
    (entry,) = store.read(genuine).entries
    return Forgery(genuine, entry.run_id)


@pytest.fixture
def verified(typed, tmp_path):
    """The rows that `verify --json` prints for the ledger in the folder, and its exit code."""

    def run_it(*options):
        result = typed("verify", "--ledger", str(tmp_path / "forged"), "--json", *options)
        return json.loads(result.stdout), result.returncode

    return run_it


def rules(row):
    return {failure["rule"].partition(":")[0] for failure in row["failures"]}


def consistent(folder):
    """Whether log, configuration and entry agree; this needs no network."""
    read = store.read(folder)
    return all(verify(folder, entry, LedgerIndex(read.entries)).ok for entry in read.entries)


def test_an_unchanged_entry_is_verified(forgery, verified, tmp_path):
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert (row["verdict"], row["ok"], code) == ("verified", True, 0)
    assert (row["failures"], row["not_confirmed"], row["skipped"]) == ([], [], [])


def test_a_thousandth_of_the_networks_macs_fails_for_every_seed(genuine, verified, tmp_path):
    """With an unknown code digest: the count here disagrees, whatever that code was."""
    (entry,) = store.read(genuine).entries
    for seed in range(3):
        forgery = Forgery(genuine, entry.run_id)
        forgery.both("seed", seed)
        forgery.entry["config"]["seed"] = seed
        forgery.both("provenance.code_digest", "f" * 64)
        forgery.both("provenance.commit", None)
        forgery.both("provenance.dirty", None)
        forgery.weights(f"{seed}" * 64)
        forgery.divide_macs(1000)
        forgery.write(tmp_path / "forged")
    assert consistent(tmp_path / "forged"), "but for the count the forgery is perfect"
    rows, code = verified()
    assert code == 1
    assert [(row["verdict"], row["ok"]) for row in rows] == [("failed", False)] * 3
    assert [rules(row) for row in rows] == [{"counts"}] * 3
    (found,) = rows[0]["failures"]
    assert found["expected"]["forward_macs"] // 1000 == found["found"]["forward_macs"]


@pytest.mark.parametrize("name", ["timm:no_such_net", "torchvision:no_such_net", "resnet19"])
def test_a_network_that_does_not_exist_is_not_confirmed(forgery, verified, tmp_path, name):
    forgery.both("model", name)
    forgery.entry["config"]["model"]["name"] = name
    forgery.entry["config"]["experiment"] = None
    forgery.both("experiment", None)
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert (row["verdict"], row["failures"], code) == ("not confirmed", [], 1)
    (reason,) = row["not_confirmed"]
    assert reason.startswith("counts: the network cannot be counted")
    assert row["ok"] is False


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ((), "hydra"),
        (("recipe",), "secret"),
        (("evaluation",), "near"),  # a key of schema 2
        (("data",), "root"),
    ],
)
def test_an_unknown_key_fails(forgery, verified, tmp_path, part, key):
    config = forgery.entry["config"]
    for name in part:
        config = config[name]
    config[key] = 0.5
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert (row["verdict"], code) == ("failed", 1)
    assert f"keys: {'.'.join(('config', *part, key))}" in {f["rule"] for f in row["failures"]}


def test_a_key_of_a_newer_schema_fails_in_an_older_entry(forgery, verified, tmp_path):
    forgery.as_schema(3)
    forgery.entry["schema_version"] = 2
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert code == 1
    assert [f["rule"] for f in row["failures"]] == ["keys: provenance.network_digest"]
    forgery.without("provenance.network_digest")
    forgery.write(tmp_path / "forged")
    assert verified()[1] == 0, "an entry of schema 2 is verified without it"


def test_a_baseline_level_without_its_runs_is_not_confirmed(forgery, verified, tmp_path):
    target = {**forgery.entry["target"], "source": "baseline", "baseline_run_ids": ["nobody"]}
    forgery.both("target", target)
    forgery.entry["config"]["target"]["value"] = None
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert (row["verdict"], code) == ("not confirmed", 1)
    assert row["not_confirmed"] == ["target: baseline runs not in this ledger: nobody"]


@pytest.mark.parametrize("commit", ["HEAD", "--output=stolen", "ab", "g" * 40])
def test_an_invalid_commit_id_fails_and_never_reaches_git(
    forgery, verified, tmp_path, monkeypatch, commit
):
    from efficiency_bench import git

    asked = []
    monkeypatch.setattr(git.subprocess, "run", lambda command, **_: asked.append(command))
    forgery.both("provenance.commit", commit)
    forgery.both("provenance.dirty", False)
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert ("code: commit", code) in {(f["rule"], code) for f in row["failures"]}
    assert code == 1
    assert not [command for command in asked if commit in command]


@pytest.mark.parametrize(("schema", "verdict"), [(3, "failed"), (2, "not confirmed")])
def test_code_that_differs_from_the_commit(
    forgery, verified, tmp_path, monkeypatch, schema, verdict
):
    """In schema 2 a file that git did not track may be why, and was not said."""
    commit = "c" * 40
    monkeypatch.setattr(provenance, "code_digest_at", lambda asked: {commit: "a" * 64}.get(asked))
    forgery.both("provenance.commit", commit)
    forgery.both("provenance.dirty", False)
    forgery.as_schema(schema)
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert (row["verdict"], code) == (verdict, 1)
    assert "code" in rules(row) | {text.partition(":")[0] for text in row["not_confirmed"]}


def test_invented_accuracies_cannot_be_detected_by_recomputing(forgery, verified, tmp_path):
    """With a matching log and matching digests, only training again reveals it."""
    for evaluation in (
        *forgery.entry["evaluations"],
        *(event for event in forgery.events if event["event"] == "evaluation"),
    ):
        evaluation["top1"] = round(evaluation["top1"] * 100 + 1) / 100  # one image of 100 more
        evaluation["top5"] = 1.0
    forgery.write(tmp_path / "forged")
    (row,), code = verified()
    assert (row["verdict"], code) == ("verified", 0)


@pytest.mark.parametrize("text", ["Infinity", "NaN", "1e400", "1" + "0" * 400, "5e-324", "-1"])
def test_an_invalid_number_fails_and_names_the_file(forgery, verified, tmp_path, text):
    run_id = forgery.write(tmp_path / "forged")
    path = tmp_path / "forged" / f"{run_id}.json"
    images = forgery.entry["images"]
    path.write_text(path.read_text().replace(f'"images": {images},', f'"images": {text},', 1))
    (row,), code = verified()
    assert (row["run_id"], row["verdict"], code) == (run_id, "failed", 1)
    assert rules(row) == {"readable"}
