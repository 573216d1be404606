"""The kill test as a user runs it, and that it can fail."""

import json

from efficiency_bench.reproducibility.rerun import differences
from tests.commands import command
from tests.ledger.factory import make_entry, make_evaluation
from tests.tiny import TINY

RUN = (
    "experiment=resnet18",
    "recipe.epochs=1",
    "evaluation.per_epoch=2",  # so that a kill can lose something half-way
    "recipe.batch_size=16",
    "target.value=0.99",
    "tracking.wandb=false",
    *TINY,
)


def test_the_result_after_twenty_kills_is_bit_exact(tmp_path):
    result = command("verify-resume", *RUN, "--kills", "20", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    row = json.loads(result.stdout)
    assert row["ok"]
    assert row["problems"] == []
    assert len(row["kills"]) == 20
    assert any("write" in place for place in row["kills"])
    assert row["images"] == 300


def test_a_run_that_loses_state_on_resume_is_detected(tmp_path):
    """The kill test fails if resuming forgets the optimizer's momentum."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Forget:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'efficiency_bench.reproducibility.kill_test':\n"
        "            sys.meta_path.remove(self)\n"
        "            from efficiency_bench.training.step import Step\n"
        "            kept = Step.restore\n"
        "            def restore(self, state):\n"
        "                kept(self, {**state, 'optimizer': self.optimizer.state_dict()})\n"
        "            Step.restore = restore\n"
        "sys.meta_path.insert(0, Forget())\n"
    )
    # enough kills that one comes between a checkpoint and the end, which the log alone would do for
    options = ("--kills", "8", "--draw", "10", "--json")
    result = command(
        "verify-resume", *RUN, *options, cwd=tmp_path, cold=True, PYTHONPATH=str(tmp_path)
    )
    assert result.returncode == 1, result.stderr
    row = json.loads(result.stdout)
    assert any("weights_digest" in problem for problem in row["problems"])


def test_a_non_empty_folder_is_rejected(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "something").write_text("")
    result = command("verify-resume", *RUN, "--out", "out", cwd=tmp_path)
    assert result.returncode == 2
    assert "not empty" in result.stderr


def test_differences_are_listed_and_times_are_ignored():
    one = make_entry("a", seed=1)
    later = one.model_copy(update={"created_utc": "2026-01-01T00:00:00+00:00"})
    assert differences(one, later) == []
    slower = make_entry("a", seed=1, evaluations=(make_evaluation(5000, 0.9, train_seconds=9.0),))
    assert differences(one, slower) == []
    other = make_entry("a", seed=1, evaluations=(make_evaluation(5000, 0.91),))
    assert [text.partition(":")[0] for text in differences(one, other)] == ["evaluations"]
