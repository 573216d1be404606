"""The manifest of a sweep, and the states derived from its runs' files."""

import fcntl
import json

import pytest
from rich.console import Console

from efficiency_bench import files, hydra_app
from efficiency_bench.cli.train import train_job
from efficiency_bench.errors import UserError
from efficiency_bench.hydra_app import Launcher
from efficiency_bench.ledger import store
from efficiency_bench.ledger.events import EventLog
from efficiency_bench.run import folder as folders
from efficiency_bench.run.run import run
from efficiency_bench.sweep import manifest
from efficiency_bench.sweep.launch import Submission, waves
from efficiency_bench.sweep.manifest import RunNote
from efficiency_bench.sweep.status import status_of, sweep_row
from tests.tiny import TINY

SHORT = ("experiment=alexnet", "recipe.epochs=0.3", "target.value=1.0", "tracking.wandb=false")


@pytest.fixture
def sweep_of(tmp_path, monkeypatch):
    """A sweep as the command line would plan it, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def plan(*arguments):
        jobs = hydra_app.compose(["-m", *TINY, *SHORT, *arguments])
        sweep = manifest.planned([(job.config, job.overrides) for job in jobs], "typed")
        manifest.write(sweep)
        return sweep

    return plan


def trained(sweep, number, stop_requested=lambda: False):
    """Train a run of the sweep and write its note."""
    config = sweep.config(number)

    def begins(folder):
        manifest.write_note(sweep.folder, number, RunNote(run_dir=str(folder)))
        return ()

    return run(config, begins, stop_requested)


def test_the_name_of_a_sweep_depends_on_its_runs_only(sweep_of):
    name = sweep_of("seed=0,1").name
    assert sweep_of("tracking.group=x", "seed=0,1").name == name
    assert sweep_of("seed=0,1", "recipe.optimizer.lr=0.3").name != name
    assert sweep_of("seed=0,1", "ledger_dir=x").name != name


def test_a_manifest_is_read_back_and_names_each_run_by_its_own_overrides(sweep_of):
    sweep = sweep_of("seed=0,1", "recipe.optimizer.lr=0.1,0.2")
    assert manifest.find(None) == sweep
    assert [planned.name for planned in sweep.runs][1:3] == [
        "seed=0 recipe.optimizer.lr=0.2",
        "seed=1 recipe.optimizer.lr=0.1",
    ]
    assert sweep.config(4).recipe.optimizer.lr == 0.2
    assert sweep.config(4).seed == 1
    assert len({json.dumps(planned.config) for planned in sweep.runs}) == 4


def test_two_runs_in_one_folder_are_rejected(sweep_of):
    with pytest.raises(UserError, match="run_dir=same"):
        sweep_of("seed=0,1", "run_dir=same")


def test_an_unknown_sweep_name_is_rejected(sweep_of, tmp_path):
    sweep_of("seed=0,1")
    sweep_of("seed=2,3")
    (tmp_path / "runs" / "secret").mkdir()
    (tmp_path / "runs" / "secret" / "sweep.json").write_text("{}")
    for name in ("", "nothing", "../secret", "sweep-", "/etc"):
        with pytest.raises(UserError, match="sweep"):
            manifest.find(name)


def test_a_corrupt_manifest_is_reported(sweep_of):
    sweep = sweep_of("seed=0,1")
    (sweep.folder / "sweep.json").write_text("{")
    with pytest.raises(UserError, match="not a valid manifest"):
        manifest.find(sweep.name)


def test_for_a_finished_sweep_the_ledger_is_read_once(sweep_of, monkeypatch):
    sweep = sweep_of("seed=0,1,2")
    for number in sweep.numbers:
        trained(sweep, number)
    reads = []
    real = store.read
    monkeypatch.setattr(store, "read", lambda folder: reads.append(folder) or real(folder))
    assert Submission(sweep, Launcher("none", ()), Console(quiet=True), train_job).run() is None
    assert len(reads) == 1


def test_states_of_waiting_ended_stopped_killed_and_failed_runs(sweep_of, tmp_path):
    sweep = sweep_of("seed=0,1,2,3", "recipe.optimizer.lr=0.01")
    assert {status_of(sweep, number).state for number in sweep.numbers} == {"waiting"}
    entry = trained(sweep, 1).entry
    assert trained(sweep, 2, stop_requested=lambda: True).entry is None
    manifest.write_note(sweep.folder, 3, RunNote(problem="no such data\nmore"))
    row = sweep_row(sweep.name)
    ended, stopped, failed, waiting = row["runs"]
    assert (ended["state"], ended["epochs"]) == ("ended", entry.epochs)
    assert ended["paper3x_tfs_days"] == entry.paper3x_tfs_days
    assert ended["accuracy"] == entry.evaluations[-1].top1
    assert stopped["state"] == "preempted"
    assert stopped["detail"] == "after step 1: stopped by a signal between two steps"
    per_image = entry.paper3x_tfs_days / entry.images
    assert stopped["paper3x_tfs_days"] == pytest.approx(
        sweep.config(2).recipe.batch_size * per_image
    )
    assert (failed["state"], failed["detail"]) == ("failed", "no such data")
    assert waiting["state"] == "waiting"
    assert row["states"]["waiting"] == row["states"]["preempted"] == row["states"]["ended"] == 1
    assert row["paper3x_tfs_days"] == ended["paper3x_tfs_days"] + stopped["paper3x_tfs_days"]


def test_states_of_reached_and_diverged_runs_and_of_an_entry_only_in_the_ledger(sweep_of, tmp_path):
    sweep = sweep_of("target.value=0.2,0.21", "recipe.batch_size=16", "recipe.epochs=8")
    reached = trained(sweep, 1).entry
    assert reached.reached
    assert status_of(sweep, 1).state == "arrived"
    sweep = sweep_of("recipe.optimizer.lr=1e30,1e31", "recipe.epochs=3")
    trained(sweep, 1)
    status = status_of(sweep, 1)
    assert status.state == "failed"
    assert status.detail.startswith("diverged")
    assert (status.exit_code, status.missing) == (1, False)
    manifest.write_note(sweep.folder, 2, RunNote(run_id=reached.run_id))
    assert status_of(sweep, 2).state == "arrived"


def test_the_time_left_is_the_remaining_steps_at_the_average_speed(sweep_of, tmp_path):
    sweep = sweep_of("seed=0,1", "run_dir='in/${seed}'")
    where = {"train_seconds": 6.0, "epochs": 1.0, "steps": 10, "images": 100}
    with EventLog(tmp_path / "in" / "0" / "events.jsonl") as log:
        started = {"total_steps": 50, "total_epochs": 5.0, "classes": 10, "target": None}
        log.append("start", run_id="r", config={"target": {"metric": None}}, **started)
        log.append("progress", paper3x_tfs_days=2.0, **where)
        log.append("evaluation", top1=0.5, top5=0.9, evaluation_seconds=4.0, **where)
    status = status_of(sweep, 1)
    assert status.left_seconds == 40 * (6 + 4) / 10
    assert (status.accuracy, status.target, status.paper3x_tfs_days) == (0.5, None, 2.0)
    assert status.state == "preempted"
    assert "killed" in status.detail
    with (tmp_path / "in" / "0" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status = status_of(sweep, 1)
        assert (status.state, status.detail, status.missing) == ("running", "", False)


def test_checking_a_lock_does_not_prevent_a_run_from_taking_it(tmp_path, monkeypatch):
    look = (tmp_path / "lock").open("w")
    fcntl.flock(look, fcntl.LOCK_SH)  # as `status` holds it for a moment
    monkeypatch.setattr(files.time, "sleep", lambda seconds: look.close())
    with folders.locked(tmp_path):
        assert look.closed
        assert folders.in_use(tmp_path)
    assert not folders.in_use(tmp_path)


def test_baselines_are_submitted_before_the_runs_that_need_their_target(sweep_of):
    networks = "experiment=resnet18,alexnet,vgg11"
    needing = sweep_of(networks, "target.value=null")
    assert waves(needing, needing.numbers) == [[2], [1, 3]]
    assert waves(needing, [1, 3]) == [[1, 3]]
    assert waves(needing, []) == []
    given = sweep_of(networks)
    assert waves(given, given.numbers) == [[1, 2, 3]]
