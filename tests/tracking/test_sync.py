"""Uploading runs to W&B later from their logs, with the real wandb, offline."""

import shutil

import pytest

from efficiency_bench.cli import main
from efficiency_bench.errors import UserError
from efficiency_bench.tracking.sync import of_folder, of_ledger, sync
from tests.tracking import wandb_files


@pytest.fixture
def ledger(trained, tmp_path):
    """The ledger alone, as if the run's folder had been deleted."""
    return shutil.copytree(trained.ledger_dir, tmp_path / "ledger")


def test_a_synced_ledger_looks_as_if_mirrored_live_even_when_synced_twice(trained, session, ledger):
    runs, left_out = of_ledger(ledger)
    assert left_out == []
    for _ in range(2):
        (row,) = sync(runs, "project", "late", session)
        assert row == {"run_id": trained.entry.run_id, "mode": "offline", "failure": None}
    files = wandb_files.files(ledger)
    assert len(files) == 2
    for path in files:
        read = wandb_files.records(path)
        (shown,) = wandb_files.of_kind(read, "run")
        assert (shown["run_id"], shown["run_group"]) == (trained.entry.run_id, "late")
        assert wandb_files.rows(path) == wandb_files.expected_rows(trained.events)
        assert wandb_files.of_kind(read, "artifact")
    assert [run.run_id for run in of_ledger(ledger)[0]] == [trained.entry.run_id]


def test_an_unfinished_run_is_shown_without_repeated_work(trained, session, tmp_path):
    lines = (trained.folder / "events.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) > 6
    resumed = '{"event": "resume", "steps": 5, "notes": [], "lost": {}}\n'
    (tmp_path / "events.jsonl").write_text("".join([*lines[:6], resumed, *lines[3:5]]))
    run = of_folder(tmp_path)
    assert run.entry is None
    list(sync([run], "project", None, session))
    (path,) = wandb_files.files(tmp_path)
    assert wandb_files.rows(path) == wandb_files.expected_rows(trained.events[:5])


def test_the_command_takes_a_ledger_or_folders_and_reports_invalid_ones(
    trained, keyless, ledger, tmp_path, monkeypatch, capsys
):
    (ledger / "broken.json").write_text("{}")

    def typed(*arguments):
        monkeypatch.setattr("sys.argv", ["efficiency-bench", "track", "sync", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, capsys.readouterr()

    code, printed = typed("--ledger", ledger, "--json")
    assert code == 0
    assert f'"run_id": "{trained.entry.run_id}"' in printed.out
    assert "left out" in printed.err
    assert "broken.json" in printed.err
    assert "WANDB_API_KEY" in printed.err, "how to upload"
    for arguments, words in (
        ([tmp_path / "nothing"], "no event log"),
        (["x", "--ledger", ledger], "not both"),
    ):
        code, printed = typed(*arguments)
        assert code == 2
        assert words in printed.err
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert typed("--ledger", ledger)[0] == 2


def test_a_log_without_a_start_and_an_invalid_entry_are_rejected(trained, tmp_path):
    (tmp_path / "events.jsonl").write_text("")
    with pytest.raises(UserError, match="never started"):
        of_folder(tmp_path)
    shutil.copy(trained.folder / "events.jsonl", tmp_path)
    (tmp_path / "entry.json").write_text("{}")
    with pytest.raises(UserError, match=r"entry\.json is not a valid entry"):
        of_folder(tmp_path)
