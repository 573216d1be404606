"""A profiled run: the same result, a trace with the parts of a step, an account that adds up."""

import gzip
import json

import pytest

from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.reproducibility.diff import differences
from efficiency_bench.run.progress import profile_lines
from efficiency_bench.run.run import run
from tests.tiny import events_of, tiny

OPTIONS = ("experiment=resnet18", "recipe.epochs=1", "recipe.batch_size=16", "target.value=0.999")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run plain and profiled, each in its folder."""
    folder = tmp_path_factory.mktemp("profiled")
    places = {name: folder / name for name in ("plain", "profiled")}
    entries = {
        name: run(
            tiny(place, *OPTIONS, f"run_dir={place / 'run'}", f"profile={name == 'profiled'}")
        ).entry
        for name, place in places.items()
    }
    return folder, entries


def profile_event(folder):
    (event,) = (e for e in events_of(folder / "profiled/run") if e["event"] == "profile")
    return event


def test_a_profiled_run_has_the_same_result(runs):
    _, entries = runs
    plain, profiled = entries["plain"], entries["profiled"]
    assert profiled.weights_digest == plain.weights_digest
    assert profiled.run_id == plain.run_id
    assert differences(plain, profiled) == []


def test_its_entry_says_that_its_seconds_mislead_and_verifies(runs):
    folder, entries = runs
    assert entries["plain"].cost.notes == ()
    assert "not representative" in entries["profiled"].cost.notes[0]
    (result,) = verify_ledger(str(folder / "profiled/ledger"), None, None)
    assert result.failures == ()


def test_the_trace_names_the_parts_of_each_traced_step(runs):
    folder, _ = runs
    event = profile_event(folder)
    with gzip.open(folder / "profiled/run" / event["trace"]) as file:
        trace = json.load(file)
    names = [e.get("name") for e in trace["traceEvents"] if e.get("cat") == "user_annotation"]
    assert event["traced_steps"] == 5
    for part in ("data", "forward", "backward", "optimizer"):
        assert names.count(part) == 5


def test_the_account_covers_the_steps_after_the_trace(runs):
    folder, entries = runs
    event = profile_event(folder)
    assert event["steps"] == entries["profiled"].steps - 10
    later = [e for e in entries["profiled"].evaluations if e.steps > 10]
    assert event["evaluations"] == len(later) > 0
    parts = ["backward", "data", "evaluation", "forward", "harness", "optimizer"]
    assert sorted(event["seconds"]) == parts
    assert all(seconds > 0 for seconds in event["seconds"].values())


def test_a_plain_run_is_not_wrapped(runs):
    folder, _ = runs
    assert not (folder / "plain/run/profile").exists()
    assert "profile" not in {e["event"] for e in events_of(folder / "plain/run")}


def test_the_account_in_words():
    """100 steps: 2 + 3 + 4 + 1 + 6 + 4 = 20 s, 6e10 FLOP/s of a peak of 2.4e11."""
    names = ("data", "forward", "backward", "optimizer", "evaluation", "harness")
    event = {
        "trace": "profile/trace.json.gz",
        "traced_steps": 5,
        "steps": 100,
        "evaluations": 7,
        "seconds": dict(zip(names, (2.0, 3.0, 4.0, 1.0, 6.0, 4.0), strict=True)),
        "flops_per_second": 6e10,
    }
    text = "\n".join(profile_lines(event, 2.4e11))
    for words in (
        "40.000 ms a step    20 %",
        "60.000 ms a step    30 %",
        "validation set, 7 times",
    ):
        assert words in text
    assert "200.000 ms a step" in text
    assert "60.0 GFLOP/s without the evaluations, 25 % of the measured peak (240 GFLOP/s)" in text
    assert "peak" not in "\n".join(profile_lines(event, None))
    short = {"trace": None, "traced_steps": 0, "steps": 0}
    assert "too short" in "\n".join(profile_lines(short, None))
