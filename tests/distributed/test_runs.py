"""Runs of two real processes: one log, one entry, and a clear end if a rank dies."""

import json
import signal

import pytest

from tests.commands import command
from tests.distributed.starting import BIN, one_by_one, torchrun, wait_for_line
from tests.tiny import TINY, events_of

EVALUATED = "left"
"""Every line about an evaluation ends with the time that is left."""


def run_of(epochs: int) -> tuple[str, ...]:
    return (
        "train",
        "experiment=alexnet",
        "target.value=1.0",
        f"recipe.epochs={epochs}",
        "tracking.wandb=false",
        "run_dir=run",
        "ledger_dir=ledger",
        *TINY,
    )


def test_two_ranks_write_one_log_and_one_entry(tmp_path):
    ended = torchrun(2, "--no-python", BIN / "efficiency-bench", *run_of(2), "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-2000:]
    entry = json.loads(ended.stdout)  # one document: the other rank prints nothing
    assert (entry["images"], entry["steps"]) == (600, 2 * 10)
    assert {e["val_images"] for e in entry["evaluations"]} == {100}
    assert entry["provenance"]["hardware"]["processes"] == 2
    kinds = [event["event"] for event in events_of(tmp_path / "run")]
    assert kinds.count("start") == kinds.count("end") == 1
    verified = command("verify", "--ledger", "ledger", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert ended.stderr.count("seed 0 on digits") == 1


def test_a_rank_that_dies_stops_the_run_which_then_resumes_in_one_process(tmp_path):
    first, second = one_by_one(2, *run_of(12), cwd=tmp_path)
    wait_for_line(first, EVALUATED)
    second.kill()
    second.communicate()
    _, said = first.communicate()
    assert first.returncode == 75
    assert "another rank died (see its output)" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "ledger").glob("*.json"))

    again = command(*run_of(12), "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["images"] == 12 * 300
    resume = next(e for e in events_of(tmp_path / "run") if e["event"] == "resume")
    assert any("started with 2 processes, resumed with 1" in note for note in resume["notes"])


@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_either_rank_stops_both_at_the_same_step(signalled, tmp_path):
    both = one_by_one(2, *run_of(12), cwd=tmp_path)
    wait_for_line(both[0], EVALUATED)
    both[signalled].send_signal(signal.SIGTERM)
    for process in both:
        process.communicate()
        assert process.returncode == 75
    stopped = events_of(tmp_path / "run")[-1]
    assert stopped["event"] == "interrupted"
    again = one_by_one(2, *run_of(12), cwd=tmp_path)
    for process in again:
        _, said = process.communicate()
        assert process.returncode == 0, said
    events = events_of(tmp_path / "run")
    assert next(e for e in events if e["event"] == "resume")["steps"] == stopped["steps"]
    assert events[-1]["images"] == 12 * 300


def test_a_mistake_is_reported_once_and_no_rank_waits(tmp_path):
    both = one_by_one(2, *run_of(3), "recipe.batch_size=0", cwd=tmp_path)
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [2, 2]
    assert "batch_size" in said[0]
    assert said[1] == ""

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "entry.json").write_text("{}")  # found by rank 0 only
    both = one_by_one(2, *run_of(3), cwd=tmp_path)
    said = [process.communicate()[1] for process in both]
    assert both[0].returncode == 2
    assert "not a valid entry" in said[0]
    assert both[1].returncode == 0  # it receives that there is nothing to train, and does not wait
