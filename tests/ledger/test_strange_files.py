"""Invalid files and numbers are reported, and the rest of a ledger is read."""

import gzip
import json
import math
import os
import random
import shutil

import pytest

from efficiency_bench import bounds
from efficiency_bench.bounds import out_of_bounds, whole_characters
from efficiency_bench.errors import UserError
from efficiency_bench.files import read_regular
from efficiency_bench.ledger import kept_log, store
from efficiency_bench.ledger.events import EventLog, parse_events, read_events
from efficiency_bench.ledger.kept_log import read_kept_log, start_event
from efficiency_bench.records import Entry
from efficiency_bench.verify import LedgerIndex, verify
from tests.ledger.factory import make_entry, make_evaluation, make_target
from tests.ledger.recorded import LEDGER
from tests.ledger.recorded import REACHED as RUN


@pytest.fixture
def recorded(tmp_path):
    """Return a ledger with one recorded run and its log."""
    (tmp_path / "events").mkdir()
    shutil.copy(LEDGER / f"{RUN}.json", tmp_path)
    shutil.copy(LEDGER / "events" / f"{RUN}.jsonl.gz", tmp_path / "events")
    return tmp_path


def verified(ledger):
    entries = store.read(ledger).entries
    return [verify(ledger, entry, LedgerIndex(entries)) for entry in entries]


def no_regular_file(kind, path, tmp_path):
    """Create something at ``path`` that is not a regular file."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path.name)
    else:
        (tmp_path / "elsewhere").write_text("{}")
        path.symlink_to(tmp_path / "elsewhere")


KINDS = ["folder", "pipe", "device", "loop", "link"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_read(tmp_path, kind):
    no_regular_file(kind, tmp_path / "it", tmp_path)
    with pytest.raises(OSError, match=r"is not a regular file|is a link, which is not followed"):
        read_regular(tmp_path / "it", 100)


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, 100) == b"x" * 100
    with pytest.raises(OSError, match="larger than 99 bytes"):
        read_regular(path, 99)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent", 99)


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_is_not_a_regular_file_is_reported(recorded, kind):
    no_regular_file(kind, recorded / "x.json", recorded)
    read = store.read(recorded)
    assert [entry.run_id for entry in read.entries] == [RUN]
    (problem,) = read.problems
    assert problem.path.name == "x.json"
    assert "cannot be read: " in problem.reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_is_not_a_regular_file_fails_verification(recorded, kind):
    path = recorded / "events" / f"{RUN}.jsonl.gz"
    path.unlink()
    no_regular_file(kind, path, recorded)
    (result,) = verified(recorded)
    assert any(f.rule == f"event log: {path}" for f in result.failures)
    assert start_event(recorded, RUN) is None


@pytest.mark.parametrize("place", ["/dev/zero", "../../etc/passwd", "/x/events.jsonl", "a\0b"])
def test_a_log_elsewhere_is_not_followed(recorded, place):
    content = json.loads((recorded / f"{RUN}.json").read_text())
    (recorded / f"{RUN}.json").write_text(json.dumps({**content, "event_log": place}))
    (result,) = verified(recorded)
    found = [f.found for f in result.failures if f.rule == f"event log: {place}"]
    assert found == ["not opened: a log is a relative path to a file events.jsonl"]


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 201, "-\x1b[31m", "a\udcff"])
def test_an_entry_with_an_invalid_file_name_is_reported_on_one_printable_line(recorded, name):
    path = recorded / f"{name}.json"
    content = json.loads((recorded / f"{RUN}.json").read_text())
    path.write_text(json.dumps({**content, "run_id": name}))
    read = store.read(recorded)
    assert [entry.run_id for entry in read.entries] == [RUN]
    assert str(read.problems[0]).isprintable()


def test_every_flipped_byte_of_a_kept_log_is_found_without_a_traceback(recorded):
    """157 of 590 positions once ended in a zlib traceback."""
    path = recorded / "events" / f"{RUN}.jsonl.gz"
    good = path.read_bytes()
    (before,) = verified(recorded)
    assert not before.failures
    header = range(4, 10)  # time, flags and system: gzip's own, not part of what is kept
    drawn = random.Random(0).sample(range(len(good)), 100)
    for at in {*range(20), *range(len(good) - 20, len(good)), *drawn} - {*header}:
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        (result,) = verified(recorded)
        assert not result.ok, at
        start_event(recorded, RUN)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0" * (kept_log.LARGEST_LOG_BYTES + 1), "larger than 67,108,864 bytes"),
        (b'{"event":"a"}\n' * (kept_log.MOST_EVENTS + 1), "200,001 events"),
        (b'{"event":"a","x":[' + b"[]," * kept_log.MOST_VALUES + b"0]}\n", "values"),
        (b'{"event":"a","x":' + b"[" * kept_log.MOST_VALUES + b"\n", "values"),
    ],
)
def test_a_log_beyond_the_bounds_is_rejected_before_parsing(recorded, monkeypatch, content, reason):
    """200 KB that unpack to 200 MB of events once took 319 s and 2.9 GB."""
    path = recorded / "events" / f"{RUN}.jsonl.gz"
    path.write_bytes(gzip.compress(content, 1))
    with pytest.raises(UserError, match=reason):
        read_kept_log(path)
    monkeypatch.setattr("efficiency_bench.ledger.events.json.loads", None)  # parsing would raise
    (result,) = verified(recorded)
    assert any(reason in str(f.found) for f in result.failures if f.rule.startswith("event log"))


def test_a_month_of_training_is_within_the_bounds():
    """10,000 progress events at once, then one every 30 s, 400 bytes each."""
    events = 10_000 + 30 * 86_400 // 30
    assert events < kept_log.MOST_EVENTS
    assert events * 400 < kept_log.LARGEST_LOG_BYTES
    content = (LEDGER / "events" / f"{RUN}.jsonl.gz").read_bytes()
    lines = gzip.decompress(content).splitlines()
    longest = max(line.count(b",") + line.count(b"{") + line.count(b"[") for line in lines[1:])
    assert events * longest < kept_log.MOST_VALUES


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        5e-324,
        1e101,
        10**400,
        -(2**63) - 1,
        "\ud800",
        {"\udfff": 1},
        {"a": [{"b": -math.inf}]},
        "x" * (bounds.LONGEST_TEXT + 1),
        json.loads("[" * 25 + "]" * 25),
    ],
)
def test_values_out_of_bounds(value):
    assert out_of_bounds(value) is not None
    with pytest.raises(ValueError, match=r"config\.x"):
        make_entry(config={"x": value})


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 3.4028235e38, 1.4e-45, 2**63 - 1, True, None, "é", {"a": [1, {"b": "c"}]}]
)
def test_values_within_bounds(value):
    assert out_of_bounds(value) is None
    assert make_entry(config={"x": value}).config["x"] == value


def test_a_value_out_of_bounds_is_reported_with_its_path():
    reason = out_of_bounds({"a": [0, {"b": math.inf}]})
    assert reason == "a.1.b: inf has a magnitude outside 1e-100 to 1e+100"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date", "2015-02-30"),
        ("date", "20150101"),
        ("date", "0001-01-01"),
        ("date", "9999-12-31"),
        ("created_utc", "yesterday"),
        ("created_utc", "0001-01-01T00:00:00+00:00"),
        ("images", 10**16),
        ("epochs", 1e10),
        ("paper3x_to_target_tfs_days", 0.0),
        ("exact_flops_to_target", -1.0),
        ("sustained_crossing_images", -1.0),
        ("repeat", -1),
        ("schema_version", 0),
    ],
)
def test_each_field_has_bounds_that_fit_its_meaning(tmp_path, field, value):
    store.append(tmp_path, make_entry("good"))
    path = store.append(tmp_path, make_entry("bad"))
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    read = store.read(tmp_path)
    assert [entry.run_id for entry in read.entries] == ["good"]
    assert field in read.problems[0].reason


def test_a_curve_must_be_in_order_and_have_the_targets_metric():
    with pytest.raises(ValueError, match="not in training order"):
        make_entry(evaluations=(make_evaluation(20, 0.1), make_evaluation(10, 0.2)))
    with pytest.raises(ValueError, match="top-5"):
        make_entry(target=make_target(metric="top5"), evaluations=(make_evaluation(10, 0.2),))


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "1e400", "1" + "0" * 400, "5e-324", "[" * 30 + "]" * 30]
)
def test_an_event_has_the_bounds_of_a_record(number):
    line = '{"event": "progress", "loss": %s}\n'
    assert parse_events((line % "1.0").encode(), "log").events[0]["loss"] == 1.0
    for outside in ((line % number).encode(), b'{"event": "a", "text": "\\ud800"}\n'):
        assert parse_events(outside, "log").events == ()  # as a last line cut short by a crash
        with pytest.raises(UserError, match="line 1"):
            parse_events(outside + (line % "1.0").encode(), "log")


def test_a_file_name_with_lone_surrogates_does_not_corrupt_the_log(tmp_path):
    """An error message may quote one; an unreadable log would lose the run."""
    name = os.fsdecode(b"photo-\xff.jpg")
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("end", detail=f"cannot read {name}", notes=[name, {"é": name}])
    (event,) = read_events(tmp_path / "events.jsonl").events
    assert (
        event["detail"]
        == whole_characters(f"cannot read {name}")
        == "cannot read photo-\\udcff.jpg"
    )
    assert event["notes"] == ["photo-\\udcff.jpg", {"é": "photo-\\udcff.jpg"}]


def test_every_recorded_entry_is_within_the_bounds():
    for path in LEDGER.glob("*.json"):
        assert Entry.model_validate_json(path.read_text()).run_id == path.stem
