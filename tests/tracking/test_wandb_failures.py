"""W&B down, silent or failing: it never stops or alters a run, and no key leaks.

The server is a stand-in on loopback (``server.py``); the client is the real one.
"""

import secrets
import socket

import pytest

from efficiency_bench.ledger import store
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror
from tests.commands import command, warm_up
from tests.tiny import TINY
from tests.tracking import wandb_files
from tests.tracking.conftest import OPTIONS, contents
from tests.tracking.server import serving

LATER = "efficiency-bench track sync"
NOT_A_DAY_SECONDS = 30.0


def online(folder, session, wait_seconds=90.0):
    """A mirror with a timeout long enough for a busy machine, so that it never times out here."""
    return WandbMirror("project", "sweep", folder, session, LATER, wait_seconds)


@pytest.fixture
def key(keyless, monkeypatch):
    """A key in wandb's format, searched for afterwards in every file and all output."""
    warm_up()  # before the key exists, since the warm process outlives the test
    key = secrets.token_hex(20)
    monkeypatch.setenv("WANDB_API_KEY", key)
    return key


@pytest.fixture
def no_key_got_out(key, tmp_path, capfd):
    yield key
    printed = capfd.readouterr()
    assert key not in printed.out + printed.err
    assert key not in contents(tmp_path)
    wandb_files.wait_for(lambda: not wandb_files.processes(key))


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.mark.parametrize("behaviour", ["refused", "hangs", "errors"])
def test_a_run_is_recorded_offline_if_the_server_does_not_open_it(
    trained, no_key_got_out, monkeypatch, tmp_path, said, behaviour
):
    with serving("answers" if behaviour == "refused" else behaviour) as server:
        url = f"http://127.0.0.1:{closed_port()}" if behaviour == "refused" else server.url
        monkeypatch.setenv("WANDB_BASE_URL", url)
        session = Session(said.append)
        assert session.mode == "online"
        mirror = online(tmp_path, session)
        trained.shown_to(mirror)
        assert bool(server.requests) == (behaviour != "refused")
    assert mirror.failure is None
    assert session.mode == "offline", "the next run of the same command does not try again"
    (message,) = said
    assert "does not respond" in message
    assert LATER in message
    (path,) = wandb_files.files(tmp_path)
    assert wandb_files.rows(path) == wandb_files.expected_rows(trained.events)


def test_a_working_server_receives_every_row_once(
    trained, no_key_got_out, monkeypatch, tmp_path, said
):
    with serving("answers") as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        for _ in range(2):  # the second time, the server has all of them already
            mirror = online(tmp_path, Session(said.append))
            trained.shown_to(mirror)
            assert mirror.failure is None
    steps = [row["_step"] for row in server.rows]
    assert steps == [row["_step"] for row in wandb_files.expected_rows(trained.events)]
    (shown,) = server.runs.values()
    assert shown["displayName"] == "shufflenet_v2_x1_0 seed 0"
    assert shown["groupName"] == "sweep"
    assert not {"jobProgram", "commit", "repo"} & shown.keys()
    assert shown["host"] == shown["program"] == "efficiency-bench", "not this machine's"
    assert str(tmp_path) not in str(shown), "no path of this machine"
    assert said == []


def test_rows_that_a_killed_attempt_did_not_upload_are_filled_in_from_the_log(
    trained, no_key_got_out, monkeypatch, tmp_path, said
):
    (tmp_path / "events.jsonl").write_bytes((trained.folder / "events.jsonl").read_bytes())
    start = trained.events[0]
    early = [e for e in trained.events if e["event"] in ("progress", "evaluation")]
    resumed_at, handed_over = early[-3]["steps"], early[3]["steps"]
    assert handed_over < resumed_at
    with serving("answers") as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        first = online(tmp_path, Session(said.append))
        for event in [start, *(e for e in early if e["steps"] <= handed_over)]:
            first(event)
        first({"event": "interrupted"})
        first.close()
        before = len(server.rows)
        second = online(tmp_path, Session(said.append))
        for event in (start, {"event": "resume", "steps": resumed_at}):
            second(event)
        for event in [e for e in early if e["steps"] > resumed_at]:
            second(event)
        second({"event": "interrupted"})
        second.close()
    steps = [row["_step"] for row in server.rows]
    assert steps == [row["_step"] for row in wandb_files.expected_rows(early)]
    assert 0 < before < len(steps)


@pytest.mark.parametrize("requests", [2, 3, 5, 8])
def test_a_server_that_fails_later_does_not_block_the_run(
    trained, no_key_got_out, monkeypatch, tmp_path, said, requests
):
    with serving("answers", fails_after=requests) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        session = Session(said.append)
        mirror = online(tmp_path, session, wait_seconds=NOT_A_DAY_SECONDS)
        trained.shown_to(mirror, streaming=lambda: bool(server.streamed()))
        assert len(server.requests) > requests
    assert mirror.failure is not None
    assert "the event log is complete" in said[0]
    assert session.mode == "offline"


@pytest.mark.parametrize("behaviour", ["hangs", "offline"])
def test_the_command_writes_the_same_entry_as_without_a_mirror(
    trained, no_key_got_out, monkeypatch, tmp_path, behaviour
):
    mode = {"WANDB_MODE": "offline"} if behaviour == "offline" else {"WANDB_MODE": "online"}
    places = (f"run_dir={tmp_path / 'run'}", f"ledger_dir={tmp_path / 'ledger'}")
    with serving("hangs") as server:
        environment = {"WANDB_BASE_URL": server.url, **mode}
        done = command("train", *TINY, *OPTIONS, *places, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("track sync") == 1, "printed once"
    assert no_key_got_out not in done.stdout + done.stderr
    (entry,) = store.read(tmp_path / "ledger").entries
    assert differences(trained.entry, entry) == []
    # wandb's own process notices that its parent is gone and exits: none is left
    wandb_files.wait_for(lambda: not wandb_files.processes(server.url))
