"""The W&B mirror with the real wandb, offline; wandb itself reads back what it wrote."""

import os
import signal

import pytest

from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.run.run import run
from efficiency_bench.tracking import wandb_mirror
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror, mode
from tests.commands import started
from tests.tiny import TINY, events_of, tiny
from tests.tracking import wandb_files
from tests.tracking.conftest import OPTIONS

LATER = "efficiency-bench track sync"


def mirrored(folder, session, group="sweep"):
    return WandbMirror("project", group, folder, session, LATER)


def test_without_a_key_it_is_offline_and_with_one_online(keyless, monkeypatch, tmp_path):
    assert mode() == "offline"
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text("machine api.wandb.ai login user password x\n")
    netrc.chmod(0o600)  # Python's netrc rejects a file that others can read
    assert mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert mode() == "offline", "the key is another server's"
    netrc.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode() == "disabled"


def test_a_run_appears_complete_and_the_mirror_does_not_change_it(trained, session, said, tmp_path):
    folder = tmp_path / "run"
    config = tiny(tmp_path, *OPTIONS, f"run_dir={folder}")
    outcome = run(config, lambda place: [mirrored(place, session)])
    assert outcome.entry.weights_digest == trained.entry.weights_digest
    assert differences(trained.entry, outcome.entry) == []

    (path,) = wandb_files.files(folder)
    read = wandb_files.records(path)
    assert wandb_files.rows(path) == wandb_files.expected_rows(events_of(folder))
    (shown,) = wandb_files.of_kind(read, "run")
    assert shown["run_id"] == outcome.entry.run_id
    assert shown["display_name"] == "shufflenet_v2_x1_0 seed 0"
    assert shown["run_group"] == "sweep"
    assert set(shown["tags"]) == {"shufflenet_v2_x1_0", "small_smoothed", "digits"}
    config_shown = shown["config"]["update"]
    assert config_shown["recipe"]["batch_size"] == 32
    assert config_shown["target"]["value"] == 0.9
    metrics = {m["name"]: m.get("step_metric") for m in wandb_files.of_kind(read, "metric")}
    assert metrics["top1"] == "paper3x_tfs_days"
    summary = {}
    for record in wandb_files.of_kind(read, "summary"):
        summary |= record["update"]
    assert summary["end_reason"] == outcome.entry.end_reason
    assert summary["weights_digest"] == outcome.entry.weights_digest
    assert summary["target_value"] == 0.9
    (artifact,) = wandb_files.of_kind(read, "artifact")
    assert artifact["name"] == f"entry-{outcome.entry.run_id}"
    (stats, *_) = wandb_files.of_kind(read, "stats")
    assert stats["item"]["proc.memory.rssMB"] > 300, "system metrics of the run, which has torch"
    assert said == [f"W&B recorded offline; upload later: {LATER}"]
    assert not list((tmp_path / "home").iterdir())


def test_the_summary_has_the_crossing_of_a_run_that_reached_its_target(trained, session, tmp_path):
    arrived = {"reached": True, "sustained_crossing_epochs": 0.53}
    entry = trained.entry.model_copy(update=arrived)
    mirror = mirrored(tmp_path, session)
    mirror(trained.events[0])
    mirror({"event": "entry", "entry": entry})
    mirror.close()
    (path,) = wandb_files.files(tmp_path)
    updates = [r["update"] for r in wandb_files.of_kind(wandb_files.records(path), "summary")]
    assert any(arrived.items() <= update.items() for update in updates)


def test_a_resumed_run_keeps_its_id_and_no_step_is_shown_twice(session, tmp_path):
    folder = tmp_path / "run"
    config = tiny(tmp_path, *OPTIONS, f"run_dir={folder}")
    looks = []

    def stop_in_the_middle():
        looks.append(1)
        return len(looks) == 9

    outcomes = [
        run(config, lambda place: [mirrored(place, session)], stop)
        for stop in (stop_in_the_middle, lambda: False)
    ]
    assert [outcome.exit_code for outcome in outcomes] == [75, 0]
    files = wandb_files.files(folder)
    assert len(files) == 2, "offline each attempt has a file of its own"
    both = [wandb_files.records(path) for path in files]
    assert [wandb_files.of_kind(read, "exit")[0].get("exit_code", 0) for read in both] == [75, 0]
    assert {wandb_files.of_kind(r, "run")[0]["run_id"] for r in both} == {outcomes[1].entry.run_id}
    rows = [row for path in files for row in wandb_files.rows(path)]
    assert rows == wandb_files.expected_rows(events_of(folder))


LONG = (
    "experiment=shufflenet_v2_x1_0",
    "target.value=1.0",
    "recipe.epochs=400",
    "run_dir=run",
    "ledger_dir=ledger",
    *TINY,
)


@pytest.mark.parametrize("ending", ["ctrl-c", "killed"])
def test_a_stopped_or_killed_run_loses_nothing_that_it_had_logged(
    keyless, monkeypatch, tmp_path, ending
):
    monkeypatch.setenv("EFFICIENCY_BENCH_TEST", marker := f"marker-{os.getpid()}-{ending}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "run"
    with started(tmp_path, *LONG) as process:
        wandb_files.wait_for(lambda: any(map(wandb_files.rows, wandb_files.files(folder))))
        if ending == "killed":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGINT)  # to all of its processes, as a terminal does
        process.stderr.read()
    assert process.returncode == (-signal.SIGKILL if ending == "killed" else 75)
    wandb_files.wait_for(lambda: not wandb_files.processes(marker))
    (path,) = wandb_files.files(folder)
    (end,) = wandb_files.of_kind(wandb_files.records(path), "exit")
    shown, written = wandb_files.rows(path), wandb_files.expected_rows(events_of(folder))
    # after a kill, events still on their way to the mirror and incomplete rows are not shown
    if ending == "killed":
        assert end["exit_code"] == 1
        assert shown == written[: len(shown)] != []
    else:
        assert end["exit_code"] == 75
        assert shown == written


def test_a_python_that_cannot_start_is_reported_and_nothing_else_happens(
    trained, session, said, tmp_path, monkeypatch
):
    monkeypatch.setattr(wandb_mirror, "PROCESS", (str(tmp_path / "no-such-python"),))
    mirror = mirrored(tmp_path, session)
    trained.shown_to(mirror)
    assert "no-such-python" in mirror.failure
    assert "the event log is complete" in said[0]


def test_a_disabled_mirror_starts_no_process(trained, keyless, monkeypatch, tmp_path, said):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    trained.shown_to(mirrored(tmp_path / "run", Session(said.append)))
    assert said == []
    assert not (tmp_path / "run").exists()
