"""Faults of the machine: what each one costs, and that the run can resume."""

import contextlib
import datetime
import logging
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import events, store
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.run import folder as folders
from efficiency_bench.run.run import run
from efficiency_bench.training import checkpoint, trainer
from tests.commands import command, started
from tests.data.photos import plant
from tests.ledger.factory import make_entry
from tests.run.factory import StopAt
from tests.tiny import events_of, tiny

SHORT = ("experiment=alexnet", "recipe.epochs=3", "target.value=1.0")


def test_a_disk_too_full_for_a_checkpoint_does_not_stop_the_run(small_disk, tmp_path, caplog):
    """64 KiB have room for the event log and the entry, but not for weights."""
    config = tiny(tmp_path, *SHORT, f"run_dir={small_disk / 'run'}", "checkpoint_share=1")
    with caplog.at_level(logging.WARNING):
        outcome = run(config)
    assert outcome.entry.images == 900
    assert "no checkpoint" in caplog.text
    assert caplog.text.count("no checkpoint") == 1, "reported once"
    failed = [e for e in events_of(small_disk / "run") if e["event"] == "checkpoint_failed"]
    assert failed
    assert "No space left" in failed[0]["problem"]
    assert {path.name for path in (small_disk / "run").iterdir()} == {
        "events.jsonl",
        "entry.json",
        "lock",
    }


def test_a_disk_too_full_for_an_event_stops_the_run_which_resumes_once_there_is_room(
    small_disk, tmp_path
):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 51_000)
    options = (*SHORT, f"run_dir={small_disk / 'run'}", "checkpoint_share=0")
    with pytest.raises(UserError, match=r"cannot write the event log.*\n.*resumes the run"):
        run(tiny(tmp_path, *options, "recipe.epochs=6"))
    assert store.read(tmp_path / "ledger").entries == ()
    ballast.unlink()
    outcome = run(tiny(tmp_path, *options, "recipe.epochs=6"))
    assert outcome.entry.images == 6 * 300
    assert outcome.entry.repeated_images > 0
    assert all(result.ok for result in verify_ledger(str(tmp_path / "ledger"), None, None))


def test_if_the_ledger_disk_is_full_the_entry_stays_in_the_run_folder(
    small_disk, tmp_path, monkeypatch
):
    config = tiny(tmp_path, *SHORT, f"run_dir={tmp_path / 'run'}", f"ledger_dir={small_disk}")
    real_append = store.append

    def filled(*arguments):
        (small_disk / "ballast").write_bytes(b"x" * 60_000)  # filled by others in the meantime
        return real_append(*arguments)

    monkeypatch.setattr(store, "append", filled)
    with pytest.raises(UserError, match="No space left"):
        run(config)
    monkeypatch.undo()
    (small_disk / "ballast").unlink()
    outcome = run(config)
    assert outcome.already_finished
    assert store.read(small_disk).entries == (outcome.entry,)


def fill(folder):
    """Fill the rest of a small disk."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 512)


@pytest.mark.parametrize("fault", [False, True])
def test_a_disk_that_is_full_when_the_entry_is_written_loses_nothing(
    fault, small_disk, tmp_path, monkeypatch
):
    """The same command writes the entry from the event log without training."""
    config = tiny(tmp_path, *SHORT, f"run_dir={small_disk / 'run'}", "checkpoint_share=0")
    if fault:
        real = trainer.TrainingRun.losses_finite
        monkeypatch.setattr(
            trainer.TrainingRun, "losses_finite", lambda r: r.steps < 15 and real(r)
        )
    real_write = folders.write_entry

    def filled(*arguments):
        fill(small_disk)  # by others in the meantime
        return real_write(*arguments)

    monkeypatch.setattr(folders, "write_entry", filled)
    with pytest.raises(UserError, match=r"cannot write .*entry\.json: No space left.*same command"):
        run(config)
    monkeypatch.undo()
    assert store.read(tmp_path / "ledger").entries == ()
    written = (small_disk / "run" / "events.jsonl").read_bytes()
    (small_disk / "ballast").unlink()
    outcome = run(config)
    assert outcome.already_finished
    assert outcome.entry.end_reason == ("diverged" if fault else "schedule")
    assert (small_disk / "run" / "events.jsonl").read_bytes() == written, "nothing trained again"
    assert folders.finished_entry(small_disk / "run", tmp_path / "ledger") == outcome.entry
    assert store.read(tmp_path / "ledger").entries == (outcome.entry,)
    assert all(result.ok for result in verify_ledger(str(tmp_path / "ledger"), None, None))


def test_a_run_killed_before_its_entry_was_written_is_finished_from_its_log(tmp_path):
    """After a kill between two writes, the log has the end and a checkpoint still exists."""
    config = tiny(tmp_path, *SHORT, f"run_dir={tmp_path / 'run'}", "checkpoint_share=1")
    entry = run(config).entry
    (tmp_path / "run" / "entry.json").unlink()
    (tmp_path / "ledger" / f"{entry.run_id}.json").unlink()
    checkpoint.save(tmp_path / "run", 3, {"steps": 3}, {})
    written = (tmp_path / "run" / "events.jsonl").read_bytes()
    outcome = run(config)
    assert outcome.entry == entry
    assert (tmp_path / "run" / "events.jsonl").read_bytes() == written
    assert not list((tmp_path / "run").glob("checkpoint-*")), "an ended run keeps no checkpoint"


def test_a_read_only_run_folder_is_rejected_before_training(read_only_folder, tmp_path):
    with pytest.raises(UserError, match="cannot work in"):
        run(tiny(tmp_path, *SHORT, f"run_dir={read_only_folder / 'run'}"))


def test_a_non_finite_loss_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    """The loss becomes infinite in the third epoch; the checkpoint before it still exists."""
    real = trainer.Step.__call__

    def exploding(self, images, labels, whole, progress):
        loss = real(self, images, labels, whole, progress)
        return loss * float("nan") if progress > 0.9 and self.spoil() else loss

    def spoil(self):
        self.worst_loss = self.worst_loss + float("inf")
        return True

    monkeypatch.setattr(trainer.Step, "__call__", exploding)
    monkeypatch.setattr(trainer.Step, "spoil", spoil, raising=False)
    outcome = run(tiny(tmp_path, *SHORT, f"run_dir={tmp_path / 'run'}", "checkpoint_share=1"))
    assert outcome.exit_code == 1
    assert outcome.entry.end_reason == "diverged"
    assert list((tmp_path / "run").glob("checkpoint-*.pt"))


PHOTOS = (
    "experiment=shufflenet_v2_x1_0",
    "data=imagenet",
    "form=small",
    "recipe=small_smoothed",
    "target=small",
    "data.root=photos",
    "data.image_px=32",
    "data.workers=1",
    "recipe.epochs=4",
    "recipe.batch_size=8",
    "target.metric=top1",
    "target.value=1.0",
    "device=cpu",
    "threads=1",
    "tracking.wandb=false",
    "ledger_dir=ledger",
)


def test_a_run_resumes_after_a_loading_process_was_killed(tmp_path):
    """In a real process, since torch reports a dead worker by a signal to its parent."""
    plant(tmp_path / "photos", train=40, val=10)
    with started(tmp_path, *PHOTOS, "run_dir=run") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        rest = process.stderr.read()
    assert process.returncode == 75, rest
    assert "DataLoader worker" in events_of(tmp_path / "run")[-1]["detail"]
    again = command("train", *PHOTOS, "run_dir=run", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    resumed = Entry.model_validate_json(again.stdout)
    undisturbed = command(
        "train", *PHOTOS, "run_dir=other", "ledger_dir=other-ledger", "--json", cwd=tmp_path
    )
    assert differences(resumed, Entry.model_validate_json(undisturbed.stdout)) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_run_and_its_loading_processes_loses_no_work(number, tmp_path):
    """Slurm and a terminal send the signal to all of these processes."""
    plant(tmp_path / "photos", train=40, val=10)
    options = (*PHOTOS, "run_dir=run", "checkpoint_share=0")
    with started(tmp_path, *options) as process:
        os.killpg(process.pid, number)
        rest = process.stderr.read()
    assert process.returncode == 75, rest
    assert rest.count("same command") == 1, rest
    again = command("train", *options, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert Entry.model_validate_json(again.stdout).repeated_images == 0


def test_a_clock_that_jumps_back_changes_no_result(tmp_path, monkeypatch):
    class Jumping(datetime.datetime):
        calls = 0

        @classmethod
        def now(cls, tz=None):
            cls.calls += 1
            back = datetime.timedelta(days=1) if 5 < cls.calls < 9 else datetime.timedelta(0)
            return datetime.datetime.now(tz) - back

    monkeypatch.setattr(events, "datetime", Jumping)
    outcome = run(tiny(tmp_path, *SHORT, f"run_dir={tmp_path / 'run'}"))
    seconds = [e["train_seconds"] for e in events_of(tmp_path / "run") if "train_seconds" in e]
    assert seconds == sorted(seconds)
    (result,) = verify_ledger(str(tmp_path / "ledger"), outcome.entry.run_id, None)
    assert result.ok
    assert any("clock went back" in note.text for note in result.notes)


def _append(folder, number):
    store.append(folder, make_entry(f"run-{number}", seed=number))


def test_fifty_processes_append_at_once_without_losing_an_entry(tmp_path):
    context = multiprocessing.get_context("fork")
    folder = tmp_path / "ledger"
    everyone = [context.Process(target=_append, args=(folder, n)) for n in range(50)]
    for process in everyone:
        process.start()
    for process in everyone:
        process.join()
    assert [process.exitcode for process in everyone] == [0] * 50
    read = store.read(folder)
    assert read.problems == ()
    assert {entry.seed for entry in read.entries} == set(range(50))
    assert all(path.suffix == ".json" for path in folder.iterdir()), "no temporary files are left"


def test_a_run_stopped_right_after_its_start_resumes(tmp_path):
    config = tiny(tmp_path, *SHORT, f"run_dir={tmp_path / 'run'}")
    assert run(config, stop_requested=StopAt(1)).entry is None
    assert run(config).entry.images == 900
