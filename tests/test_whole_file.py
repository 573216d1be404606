"""Our files in an untrusted folder: written and read, but never through a link."""

import json
import os
from pathlib import Path

import pytest

from efficiency_bench import files
from efficiency_bench.data import cifar, fetch, stored_files
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import events, store
from efficiency_bench.run import folder as folders
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror
from tests.ledger.factory import make_entry


@pytest.fixture
def outside(tmp_path):
    file = tmp_path / "outside"
    file.write_text("untouched")
    return file


@pytest.fixture
def run_dir(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_a_link_in_place_of_a_file_is_replaced(run_dir, outside):
    (run_dir / "entry.json").symlink_to(outside)
    files.put(run_dir / "entry.json", b"new")
    assert (run_dir / "entry.json").read_bytes() == b"new"
    assert not (run_dir / "entry.json").is_symlink()
    assert outside.read_text() == "untouched"


def test_no_two_writes_use_the_same_temporary_name(run_dir, monkeypatch):
    used = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda one, to: (used.append(one.name), replace(one, to)))
    for _ in range(20):
        files.put(run_dir / "entry.json", b"x")
    assert len(set(used)) == 20
    assert [p.name for p in run_dir.iterdir()] == ["entry.json"]


def test_an_existing_temporary_file_is_not_written_through(run_dir, outside, monkeypatch):
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "ab" * n)
    (run_dir / f".entry.json.{'ab' * 8}").symlink_to(outside)
    with pytest.raises(FileExistsError):
        files.put(run_dir / "entry.json", b"new")
    assert outside.read_text() == "untouched"


def test_the_lock_is_not_opened_through_a_link(run_dir, outside):
    (run_dir / "lock").symlink_to(outside)
    with pytest.raises(UserError, match="lock is a link"), folders.locked(run_dir):
        pass
    assert outside.read_text() == "untouched"
    assert not folders.in_use(run_dir)


def test_a_lock_that_is_a_pipe_is_rejected_at_once(run_dir):
    os.mkfifo(run_dir / "lock")
    with pytest.raises(UserError, match="lock is not a regular file"), folders.locked(run_dir):
        pass


def test_the_event_log_is_not_opened_through_a_link(run_dir, outside):
    log = run_dir / "events.jsonl"
    log.symlink_to(outside)
    with pytest.raises(UserError, match=r"events\.jsonl is a link"):
        events.EventLog(log)
    with pytest.raises(UserError, match=r"events\.jsonl is a link"):
        events.read_events(log)
    assert outside.read_text() == "untouched"


def test_a_log_that_is_a_device_is_not_read_forever(run_dir):
    (run_dir / "events.jsonl").symlink_to("/dev/zero")
    for read in (events.read_events, lambda path: store.append(run_dir, make_entry(), path)):
        with pytest.raises(UserError, match="is a link"):
            read(run_dir / "events.jsonl")
    assert not (run_dir / f"{make_entry().run_id}.json").exists()


def test_an_entry_behind_a_link_is_not_used(run_dir, tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(make_entry().model_dump_json())
    (run_dir / "entry.json").symlink_to(elsewhere)
    with pytest.raises(UserError, match=r"entry\.json is a link"):
        folders.finished_entry(run_dir, run_dir)
    folders.write_entry(run_dir, make_entry())
    assert json.loads((run_dir / "entry.json").read_text())["run_id"] == make_entry().run_id


def test_a_folder_behind_a_link_is_still_a_run_folder(run_dir, tmp_path):
    """Scratch disks are often reached through a link; only names inside the folder are checked."""
    (tmp_path / "scratch").symlink_to(run_dir)
    with folders.locked(tmp_path / "scratch"):
        assert folders.in_use(run_dir)


def test_a_draft_that_is_a_link_is_not_written_through(run_dir, outside):
    file = run_dir / "train.npy"
    for place in (file, stored_files.record_path(file)):
        stored_files.draft_of(place).symlink_to(outside)
    draft = stored_files.new_draft(file)
    draft.write_bytes(b"pixels")
    record = stored_files.StoredFileRecord(
        file="train.npy",
        images=1,
        classes=("a",),
        source_digest="d",
        sha256="s",
        bytes=6,
        versions={},
    )
    stored_files.finish(file, record)
    assert file.read_bytes() == b"pixels"
    assert outside.read_text() == "untouched"


def test_an_unfinished_archive_that_is_a_link_is_not_appended_to(run_dir, outside):
    (run_dir / ".cifar-10-batches-py.part").symlink_to(outside)
    with pytest.raises(UserError, match=r"\.part is a link"):
        fetch.fetch(cifar.CIFAR10.source, run_dir)
    assert outside.read_text() == "untouched"


def test_the_trackers_error_log_is_not_written_through_a_link(run_dir, outside):
    (run_dir / "wandb").mkdir()
    (run_dir / "wandb" / "mirror.log").symlink_to(outside)
    mirror = WandbMirror("project", None, run_dir, Session(print, mode="offline"), "later")
    mirror({"event": "start"})
    mirror.close()
    assert "mirror.log is a link" in mirror.failure
    assert outside.read_text() == "untouched"
