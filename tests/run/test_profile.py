"""A profiled run: the same result, and a trace with the parts of five steps."""

import gzip
import json

import pytest

from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.run.run import run
from tests.tiny import events_of, tiny

OPTIONS = ("experiment=resnet18", "recipe.epochs=1", "recipe.batch_size=16", "target.value=0.999")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run with and without profiling, each in its own folder."""
    folder = tmp_path_factory.mktemp("profiled")
    places = {name: folder / name for name in ("plain", "profiled")}
    entries = {
        name: run(
            tiny(place, *OPTIONS, f"run_dir={place / 'run'}", f"profile={name == 'profiled'}")
        ).entry
        for name, place in places.items()
    }
    return folder, entries


def test_a_profiled_run_has_the_same_result(runs):
    _, entries = runs
    plain, profiled = entries["plain"], entries["profiled"]
    assert profiled.weights_digest == plain.weights_digest
    assert profiled.run_id == plain.run_id
    assert differences(plain, profiled) == []


def test_its_entry_notes_that_its_seconds_are_not_representative_and_verifies(runs):
    folder, entries = runs
    assert entries["plain"].cost.notes == ()
    assert "not representative" in entries["profiled"].cost.notes[0]
    (result,) = verify_ledger(str(folder / "profiled/ledger"), None, None)
    assert result.failures == ()


def test_the_trace_and_the_table_name_the_parts_of_five_steps(runs):
    folder, _ = runs
    (event,) = (e for e in events_of(folder / "profiled/run") if e["event"] == "profile")
    with gzip.open(folder / "profiled/run" / event["trace"]) as file:
        trace = json.load(file)
    names = [e.get("name") for e in trace["traceEvents"] if e.get("cat") == "user_annotation"]
    table = (folder / "profiled/run" / event["table"]).read_text()
    for part in ("data", "forward", "backward", "update"):
        assert names.count(part) == 5
        assert part in table


def test_a_run_without_a_profile_is_not_wrapped(runs):
    folder, _ = runs
    assert not (folder / "plain/run/profile").exists()
    assert "profile" not in {e["event"] for e in events_of(folder / "plain/run")}
