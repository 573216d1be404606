"""The ledger's folder: entries appear complete and once; a bad file does not affect others."""

import gc
import json
import multiprocessing

import pytest

from efficiency_bench import files
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.store import EntryExists, append, check_writable, find, read
from tests.ledger.factory import make_baseline, make_entry


def test_appended_entries_are_read_back_equal_and_in_order(tmp_path):
    ledger = tmp_path / "runs" / "ledger"
    entries = (make_baseline("alexnet-s0"), make_entry("resnet18-s0"))
    for entry in reversed(entries):
        assert append(ledger, entry) == ledger / f"{entry.run_id}.json"
    assert read(ledger).entries == entries
    assert read(ledger).problems == ()


def test_nothing_else_is_left_in_the_folder(tmp_path):
    append(tmp_path, make_entry("a"))
    with pytest.raises(EntryExists):
        append(tmp_path, make_entry("a"))
    check_writable(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_entry_is_never_replaced(tmp_path):
    path = append(tmp_path, make_entry("a", seed=1))
    before = path.read_bytes()
    with pytest.raises(EntryExists, match="never replaced"):
        append(tmp_path, make_entry("a", seed=2))
    assert path.read_bytes() == before


def _race(folder, seed, barrier, results):
    barrier.wait()
    try:
        append(folder, make_entry("same", seed=seed))
        results.put((seed, "won"))
    except EntryExists:
        results.put((seed, "lost"))


def test_if_two_processes_append_one_writes_and_the_other_gets_an_error(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        barrier, results = context.Barrier(2), context.Queue()
        racers = [
            context.Process(target=_race, args=(folder, seed, barrier, results)) for seed in (1, 2)
        ]
        for racer in racers:
            racer.start()
        ends = dict(results.get(timeout=60) for _ in racers)
        for racer in racers:
            racer.join()
        assert sorted(ends.values()) == ["lost", "won"]
        (entry,) = read(folder).entries
        assert ends[entry.seed] == "won"


@pytest.mark.parametrize(
    "run_id", ["", ".hidden", "..", "a/b", "../up", "a\\b", "a b", "a\n", "a\0", "ä", "x" * 201]
)
def test_a_run_id_that_could_leave_the_folder_is_rejected(tmp_path, run_id):
    with pytest.raises(UserError, match="cannot name a file"):
        append(tmp_path / "ledger", make_entry(run_id))
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"nonsense", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "a JSON object is expected"),
        (b"{}", "no whole schema_version"),
        (b'{"schema_version": 5}', "schema 5 is newer than 4"),
        (b'{"schema_version": 1}', "not an entry: run_id"),
    ],
)
def test_an_invalid_file_is_reported_and_the_others_are_read(tmp_path, content, reason):
    append(tmp_path, make_entry("good"))
    (tmp_path / "bad.json").write_bytes(content)
    ledger = read(tmp_path)
    assert [entry.run_id for entry in ledger.entries] == ["good"]
    (problem,) = ledger.problems
    assert problem.path == tmp_path / "bad.json"
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("images", -1, "images"),
        ("epochs", float("nan"), "NaN is not JSON"),
        ("surprise", 1, "surprise"),
        ("run_id", "other", "not its file name"),
    ],
)
def test_an_invalid_entry_is_reported_with_the_field(tmp_path, field, value, reason):
    path = append(tmp_path, make_entry("a"))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, field: value}))
    (problem,) = read(tmp_path).problems
    assert reason in problem.reason


def test_a_folder_named_like_an_entry_is_reported(tmp_path):
    (tmp_path / "x.json").mkdir()
    (problem,) = read(tmp_path).problems
    assert "cannot be read" in problem.reason


def test_drafts_and_other_files_are_ignored(tmp_path):
    append(tmp_path, make_entry("a"))
    for name in (".deadbeef.tmp", ".b.json", "notes.txt"):
        (tmp_path / name).write_text("half")
    assert len(read(tmp_path).entries) == 1
    assert read(tmp_path).problems == ()


def test_a_missing_ledger_says_what_to_type(tmp_path):
    with pytest.raises(UserError, match=r"no ledger at .*--ledger DIR.*efficiency-bench train"):
        read(tmp_path / "absent")


@pytest.mark.parametrize("write", [lambda d: append(d, make_entry("a")), check_writable])
class TestAFolderThatTakesNothing:
    def test_read_only(self, read_only_folder, write):
        with pytest.raises(UserError, match=r"with_entry_digest: .*\n.*ledger_dir=DIR"):
            write(read_only_folder)
        assert list(read_only_folder.iterdir()) == []

    def test_a_file_in_its_place(self, tmp_path, write):
        (tmp_path / "file").write_text("")
        for folder in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(UserError, match="cannot write an entry"):
                write(folder)


def test_a_full_disk_leaves_no_part_of_an_entry(small_disk):
    big = {"filler": "x" * 40_000}
    append(small_disk, make_entry("first", config=big))
    with pytest.raises(UserError, match=r"No space left.*\n.*ledger_dir=DIR"):
        append(small_disk, make_entry("second", config=big))
    assert [path.name for path in small_disk.iterdir()] == ["first.json"]
    append(small_disk, make_entry("third"))


def test_find_takes_a_run_id_or_a_unique_prefix(tmp_path):
    for run_id in ("resnet18-s0", "resnet18-s01", "vgg11-s0"):
        append(tmp_path, make_entry(run_id))
    assert find(tmp_path, "resnet18-s0").run_id == "resnet18-s0"
    assert find(tmp_path, "vgg").run_id == "vgg11-s0"
    with pytest.raises(UserError, match=r"2 run ids.*\n  resnet18-s0\n  resnet18-s01"):
        find(tmp_path, "resnet")
    with pytest.raises(UserError, match=r"unknown run id 'vgg11-s1' .*did you mean vgg11-s0"):
        find(tmp_path, "vgg11-s1")
    with pytest.raises(UserError, match="unknown run id ''"):
        find(tmp_path, "")


def test_find_says_why_the_named_entry_cannot_be_read(tmp_path):
    (tmp_path / "a.json").write_text("nonsense")
    with pytest.raises(UserError, match=r"a\.json: not JSON"):
        find(tmp_path, "a")


def test_an_entry_is_complete_before_it_gets_its_name(tmp_path, monkeypatch):
    def cut_off(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", cut_off)
    with pytest.raises(KeyboardInterrupt):
        append(tmp_path, make_entry("a"))
    assert list(tmp_path.iterdir()) == []


def test_find_with_a_full_run_id_opens_only_its_file(tmp_path, monkeypatch):
    """The status of a sweep does a thousand lookups in a folder of a thousand entries."""
    for name in ("a", "b", "c"):
        append(tmp_path, make_entry(name))
    opened = []
    real = store._read_entry
    monkeypatch.setattr(store, "_read_entry", lambda path: opened.append(path.stem) or real(path))
    assert find(tmp_path, "b").run_id == "b"
    assert opened == ["b"]


def test_the_collector_is_as_before_after_a_pause_that_ends_in_an_error():
    def fails():
        with store.collector_paused():
            assert not gc.isenabled()
            raise MemoryError

    assert gc.isenabled()
    with pytest.raises(MemoryError):
        fails()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with store.collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_off_while_a_ledger_is_read_and_on_after_an_unreadable_one(
    tmp_path, monkeypatch
):
    states = []

    def fails(path):
        states.append(gc.isenabled())
        raise MemoryError

    (tmp_path / "a.json").write_text("{}")
    monkeypatch.setattr(store, "_read_entry", fails)
    with pytest.raises(MemoryError):
        store.read(tmp_path)
    assert states == [False]
    assert gc.isenabled()
