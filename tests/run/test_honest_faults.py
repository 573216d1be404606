"""Runs that failed: their entries are still consistent with their logs."""

import pytest

from efficiency_bench.fitting.crossing_interval import entry_crossing
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run.run import run
from efficiency_bench.training.evaluation import evaluate
from tests.ledger.factory import make_entry, make_evaluation, make_target
from tests.tiny import events_of, tiny

RUNS = {
    "baseline": ("experiment=alexnet", "target.confirmations=1"),
    "other": ("experiment=shufflenet_v2_x1_0", "target.value=1.0"),
}


def verified(folder) -> Entry:
    (result,) = verify_ledger(str(folder / "ledger"), None, None)
    assert result.failures == ()


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_run_whose_evaluation_fails(kind, fails_at, tmp_path, monkeypatch):
    """The first of two evaluations fails, or the last, after the last step of the schedule."""
    calls = []

    def broken(*arguments):
        calls.append(arguments)
        if len(calls) == fails_at:
            raise RuntimeError("the device fell off")
        return evaluate(*arguments)

    monkeypatch.setattr("efficiency_bench.training.trainer.evaluate", broken)
    options = (
        *RUNS[kind],
        "recipe.epochs=1",
        "evaluation.per_epoch=2",
        "evaluation.per_epoch_near=2",
    )
    entry = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}")).entry
    assert entry.end_reason == "failed"
    assert len(entry.evaluations) == fails_at - 1
    verified(tmp_path)


def test_a_log_truncated_in_its_first_line(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "events.jsonl").write_bytes(b'{"event": "sta')
    options = (*RUNS["other"], "recipe.epochs=1")
    entry = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}")).entry
    assert entry.images == 300
    assert [e["event"] for e in events_of(tmp_path / "run")][:2] == ["repair", "start"]
    verified(tmp_path)


def test_a_crossing_confirmed_by_the_end_of_the_schedule_is_recorded():
    """Its entry ends with reason ``target``, like one that two further evaluations confirmed."""
    entry = make_entry(
        end_reason="target",
        target=make_target(value=0.8),
        evaluations=tuple(
            make_evaluation(images, accuracy)
            for images, accuracy in ((1000, 0.5), (2000, 0.7), (3000, 0.75), (5000, 0.85))
        ),
    )
    estimate = entry_crossing(entry, "sustained")
    assert estimate.value == pytest.approx(entry_crossing(entry, "first").value)
    assert 3000 < estimate.value < 5000
