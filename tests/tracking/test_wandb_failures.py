"""A W&B that is dead, silent or failing: it never stops or alters a run, and no key gets out.

The server is a stand-in on loopback (``server.py``); the client is the real one.
"""

import secrets
import socket

import pytest

from efficiency_bench.ledger import store
from efficiency_bench.reproducibility.diff import differences
from efficiency_bench.tracking.wandb_mirror import Session, WandbMirror
from tests.commands import command, warm_up
from tests.tiny import TINY
from tests.tracking import wandb_files
from tests.tracking.conftest import OPTIONS, contents
from tests.tracking.server import serving

LATER = "efficiency-bench track sync"
NOT_A_DAY_SECONDS = 15.0


def online(folder, session, wait_seconds=90.0):
    """A mirror with time enough for a busy machine: what ends it here is not the clock."""
    return WandbMirror("project", "sweep", folder, session, LATER, wait_seconds)


@pytest.fixture
def key(keyless, monkeypatch):
    """A key of wandb's shape, searched for afterwards in every file and in all that was printed."""
    warm_up()  # before there is a key: it stays when the test is over
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
def test_a_server_that_does_not_open_the_run_has_it_recorded_offline(
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
    (told,) = said
    assert "does not answer" in told
    assert LATER in told
    (path,) = wandb_files.files(tmp_path)
    assert wandb_files.rows(path) == wandb_files.expected_rows(trained.events)


def test_a_server_that_answers_is_given_every_row_once(
    trained, no_key_got_out, monkeypatch, tmp_path, said
):
    with serving("answers") as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        for _ in range(2):  # the second time it holds them all already
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


def test_what_a_killed_attempt_could_not_hand_over_is_filled_in_from_the_log(
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
def test_a_server_that_fails_later_does_not_hold_the_run(
    trained, no_key_got_out, monkeypatch, tmp_path, said, requests
):
    with serving("answers", fails_after=requests) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        session = Session(said.append)
        mirror = online(tmp_path, session, wait_seconds=NOT_A_DAY_SECONDS)
        trained.shown_to(mirror)
        assert len(server.requests) > requests
    assert mirror.failure is not None
    assert "the event log is whole" in said[0]
    assert session.mode == "offline"


@pytest.mark.parametrize("behaviour", ["hangs", "offline"])
def test_the_whole_command_ends_with_the_entry_it_would_have_had(
    trained, no_key_got_out, monkeypatch, tmp_path, behaviour
):
    mode = {"WANDB_MODE": "offline"} if behaviour == "offline" else {"WANDB_MODE": "online"}
    places = (f"run_dir={tmp_path / 'run'}", f"ledger_dir={tmp_path / 'ledger'}")
    with serving("hangs") as server:
        environment = {"WANDB_BASE_URL": server.url, **mode}
        done = command("train", *TINY, *OPTIONS, *places, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("track sync") == 1, "said once"
    assert no_key_got_out not in done.stdout + done.stderr
    (entry,) = store.read(tmp_path / "ledger").entries
    assert differences(trained.entry, entry) == []
    # wandb's own process sees that its parent is gone, and ends: none is left behind
    wandb_files.wait_for(lambda: not wandb_files.processes(server.url))
