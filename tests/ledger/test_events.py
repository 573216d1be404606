"""The event log: complete lines, torn ends, full or unwritable disks."""

import hashlib
import json

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import events
from efficiency_bench.ledger.events import EventLog, digest, read_events, sound_part


def test_events_are_read_in_the_order_they_were_written(tmp_path):
    path = tmp_path / "run" / "events.jsonl"
    with EventLog(path) as log:
        log.append("start", run_id="a", counts={"forward_macs": 5})
        log.append("epoch", images=10, loss=None)
    with EventLog(path) as log:
        log.append("end", reason="target")
    read = read_events(path)
    assert read.torn is None
    assert [event["event"] for event in read.events] == ["start", "epoch", "end"]
    assert read.events[0]["counts"] == {"forward_macs": 5}
    assert all(event["time_utc"].endswith("+00:00") for event in read.events)


def test_every_event_is_on_the_disk_when_append_returns(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.append("epoch", images=1)
        assert path.read_bytes().endswith(b"}\n")
        assert len(read_events(path).events) == 1


def test_evaluation_and_end_events_are_fsynced(tmp_path, monkeypatch):
    forced = []
    monkeypatch.setattr(events.os, "fsync", forced.append)
    with EventLog(tmp_path / "events.jsonl") as log:
        for kind, times in (("progress", 0), ("evaluation", 1), ("progress", 1), ("end", 2)):
            log.append(kind)
            assert len(forced) == times


@pytest.mark.parametrize("cut", [1, 7, -2])
def test_a_torn_last_line_is_reported_and_the_other_lines_are_read(tmp_path, cut):
    path = tmp_path / "events.jsonl"
    whole = b'{"event": "start"}\n'
    torn = b'{"event": "epoch", "images": 3}'[:cut]
    path.write_bytes(whole + torn)
    read = read_events(path)
    assert [event["event"] for event in read.events] == ["start"]
    assert read.torn == torn.decode()


def test_a_last_line_without_a_newline_is_an_event(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "start"}\n{"event": "end"}')
    assert read_events(path).torn is None
    with EventLog(path) as log:
        log.append("epoch")
    assert [e["event"] for e in read_events(path).events] == ["start", "end", "epoch"]


def test_appending_after_a_torn_line_keeps_the_events_before_and_after_it(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "start"}\n{"event": "epo')
    with EventLog(path) as log:
        log.append("epoch", images=9)
    read = read_events(path)
    assert read.torn is None
    assert [event["event"] for event in read.events] == ["start", "repair", "epoch"]
    assert read.events[1]["torn"] == '{"event": "epo'


@pytest.mark.parametrize("block", [b"\0" * 50, b"\0" * 50 + b"\n", b'{"ev\0\n\0\n'])
def test_nul_bytes_after_the_last_event_are_reported_and_the_events_are_read(tmp_path, block):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "start"}\n' + block)
    read = read_events(path)
    assert [event["event"] for event in read.events] == ["start"]
    assert read.torn == block.decode()
    with EventLog(path) as log:
        log.append("end")
    assert [e["event"] for e in read_events(path).events] == ["start", "repair", "end"]


def lines_of(path, *kinds):
    with EventLog(path) as log:
        for number, kind in enumerate(kinds):
            log.append(kind, steps=number, images=10 * number)
    return path.read_bytes().splitlines(keepends=True)


def test_opening_a_log_with_a_missing_line_moves_the_rest_to_a_file(tmp_path):
    path = tmp_path / "events.jsonl"
    lines = lines_of(path, "start", "progress", "progress", "progress")
    path.write_bytes(lines[0] + b"".join(lines[2:]))
    with EventLog(path) as log:
        log.append("end")
    read = read_events(path)
    assert read.broken_at is None
    assert [event["event"] for event in read.events] == ["start", "repair", "end"]
    repair = read.events[1]
    assert (tmp_path / repair["kept_as"]).read_bytes() == b"".join(lines[2:])
    assert repair["bytes"] == len(b"".join(lines[2:]))
    assert repair["reached"]["images"] == 30


def test_the_sound_part_ends_before_the_first_line_that_breaks_the_chain(tmp_path):
    lines = lines_of(tmp_path / "events.jsonl", *["progress"] * 5)
    whole = b"".join(lines)
    assert sound_part(whole).damage == b""
    for number in range(5):
        harmed = [*lines[:number], lines[number].replace(b'"images"', b'"imagez"'), *lines[number:]]
        for content in (b"".join(harmed), b"".join(lines[:number] + lines[number + 1 :])):
            found = sound_part(content)
            assert found.length_bytes == len(b"".join(lines[:number]))
            assert len(found.events) == number
            assert found.damage == content[found.length_bytes :]


def test_chain_after_finds_a_chain_only_at_line_ends(tmp_path):
    lines = lines_of(tmp_path / "events.jsonl", "start", "progress")
    found = sound_part(b"".join(lines))
    links = [json.loads(line)["chain"] for line in lines]
    assert found.chain_after(len(lines[0])) == links[0]
    assert found.chain_after(len(lines[0] + lines[1])) == links[1] == found.link
    assert found.chain_after(len(lines[0]) + 1) is None


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[1]", b'{"no": "kind"}', b'{"event": "a", "loss": NaN}', b"\xff", b""]
)
def test_a_malformed_line_in_the_middle_is_named_by_file_and_number(tmp_path, line):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "start"}\n' + line + b'\n{"event": "end"}\n')
    with pytest.raises(UserError, match=r"events\.jsonl, line 2"):
        read_events(path)


def test_a_missing_log_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no event log"):
        read_events(tmp_path / "absent.jsonl")


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_non_finite_number_is_rejected_and_nothing_is_written(tmp_path, loss):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        with pytest.raises(ValueError, match="JSON"):
            log.append("epoch", loss=loss)
        log.append("epoch", loss=1.0)
    assert len(read_events(path).events) == 1


@pytest.mark.parametrize("kind", ["", "Two words", "a b", "end\n"])
def test_a_kind_is_a_lower_case_word(tmp_path, kind):
    with EventLog(tmp_path / "e.jsonl") as log, pytest.raises(ValueError, match="lower-case"):
        log.append(kind)


def test_the_logs_own_fields_cannot_be_overwritten(tmp_path):
    with EventLog(tmp_path / "e.jsonl") as log, pytest.raises(ValueError, match="time_utc"):
        log.append("end", time_utc="never")


def test_digest_is_the_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "end"}\n')
    assert digest(path) == hashlib.sha256(b'{"event": "end"}\n').hexdigest()


def test_a_folder_that_cannot_be_created_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="run_dir=DIR"):
        EventLog(tmp_path / "file" / "events.jsonl")


def test_a_full_disk_leaves_the_log_as_it_was(small_disk):
    path = small_disk / "events.jsonl"
    with EventLog(path) as log:
        log.append("start", run_id="a")
        for number in range(6):  # 60 KB of 64
            log.append("evaluation", number=number, filler="x" * 10_000)
        with pytest.raises(UserError, match=r"No space left.*\n.*run_dir=DIR"):
            log.append("evaluation", filler="x" * 10_000)
        log.append("end", reason="failed")
    written = read_events(path)
    assert written.torn is None
    assert [e["event"] for e in written.events] == ["start", *["evaluation"] * 6, "end"]
