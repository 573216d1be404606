"""What a referee sends back, on a row that was trained for real, and the text of one that passes.

Only the state of git is given: whether this checkout has local changes is not the test's to choose.
"""

import json
import shutil
from pathlib import Path

import pytest

from efficiency_bench import provenance
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.store import sealed
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.submit import propose
from efficiency_bench.run.run import run
from tests.ledger.factory import make_entry
from tests.tiny import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHORT = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=0.3", "target.value=0.9")


def trained(folder: Path, dirty: bool, *seeds: int) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "git_state", lambda file: (COMMIT, dirty))
        for seed in seeds:
            run(tiny(folder, *SHORT, f"seed={seed}", f"run_dir={folder / str(seed)}"))
    return folder / "ledger"


@pytest.fixture(scope="module")
def three_seeds(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("row"), False, 0, 1, 2)


@pytest.fixture
def ledger(three_seeds, tmp_path):
    """A copy of the ledger alone."""
    return Path(shutil.copytree(three_seeds, tmp_path / "ledger"))


def run_ids(ledger: Path) -> list[str]:
    return sorted(path.stem for path in ledger.glob("*.json"))


def missing(ledger: Path) -> str:
    (*_, last) = run_ids(ledger)
    return "\n".join(propose(ledger, last, None).missing)


def edited(ledger: Path, run_id: str, **fields: object) -> None:
    """The entry with other fields, under a digest made to match."""
    path = store.entry_path(ledger, run_id)
    entry = Entry.model_validate(json.loads(path.read_text()) | fields)
    path.write_text(sealed(entry).model_dump_json())


def test_a_whole_row_can_be_offered_and_its_text_has_what_is_asked(ledger, typed):
    result = typed("ledger", "submit", run_ids(ledger)[0], "--ledger", str(ledger))
    assert (result.returncode, result.stderr) == (0, "")
    for run_id in run_ids(ledger):
        assert f"`{ledger / run_id}.json`" in result.stdout
        assert f"`{ledger / 'events' / run_id}.jsonl.gz`" in result.stdout
        assert f"ok     {run_id}" in result.stdout
    assert "| shufflenet_v2_x1_0 | 2018-06-30 | Ma" in result.stdout
    assert "arXiv:1807.11164" in result.stdout
    assert "efficiency-bench train model=shufflenet_v2_x1_0 recipe=" in result.stdout
    assert "3 of 3 entries follow from their evidence" in result.stdout
    assert COMMIT in result.stdout


def test_two_seeds_are_too_few(ledger, typed):
    store.entry_path(ledger, run_ids(ledger)[1]).unlink()
    result = typed("ledger", "submit", run_ids(ledger)[0], "--ledger", str(ledger), "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["text"] is None
    (lack,) = json.loads(result.stdout)["missing"]
    assert lack == "2 of 3 seeds: the same command with seed=1"
    assert lack in result.stderr


def test_a_log_that_is_gone(ledger):
    store.log_path(ledger, run_ids(ledger)[0]).unlink()
    assert f"{run_ids(ledger)[0]}: its event log" in missing(ledger)


def test_a_number_that_the_log_does_not_bear_out(ledger):
    edited(ledger, run_ids(ledger)[0], images=1)
    assert f"{run_ids(ledger)[0]}: verify fails" in missing(ledger)


def test_a_file_of_the_ledger_that_is_no_entry(ledger):
    (ledger / "broken.json").write_text("{")
    assert "broken.json cannot be read" in missing(ledger)


def test_no_date_and_no_source(ledger):
    for run_id in run_ids(ledger):
        config = json.loads(store.entry_path(ledger, run_id).read_text())["config"]
        config["model"]["paper"] = "somebody's blog"
        edited(ledger, run_id, date=None, config=config)
    assert "the row has no date" in missing(ledger)
    assert "no source for the model's date: \"somebody's blog\"" in missing(ledger)


def test_runs_that_set_the_target_belong_to_it(ledger):
    for run_id in run_ids(ledger):
        target = json.loads(store.entry_path(ledger, run_id).read_text())["target"]
        set_by = target | {"source": "baseline", "baseline_run_ids": ["alexnet-gone"]}
        edited(ledger, run_id, target=set_by)
    assert "runs that set the target are not in this ledger: alexnet-gone" in missing(ledger)


def test_local_changes(tmp_path):
    ledger = trained(tmp_path, True, 0)
    assert "measured with local changes" in missing(ledger)
    assert "1 of 3 seeds: the same command with seed=1 and seed=2" in missing(ledger)


def test_other_peoples_rows_and_runs_that_are_not_there(tmp_path):
    store.append(tmp_path, make_entry("theirs", tier="imported"))
    assert "tier imported: only rows that were measured" in missing(tmp_path)
    with pytest.raises(UserError, match="theirs"):
        propose(tmp_path, "their_", None)
