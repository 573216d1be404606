"""A ledger in a zip file reads as its folder does; a hostile zip is refused and writes nothing."""

import os
import stat
import tempfile
import zipfile
from pathlib import Path

import pytest

from efficiency_bench import ledger
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import archive, store
from efficiency_bench.ledger.archive import as_folder
from efficiency_bench.ledger.kept_log import start_event
from tests.ledger.recorded import LEDGER, REACHED

ENTRY = (LEDGER / f"{REACHED}.json").read_bytes()


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files; a test ends with nothing in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def zipped(tmp_path):
    """Write a zip file of (name or ZipInfo, content) pairs; return its path."""

    def write(*members, **options):
        path = tmp_path / "ledger.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as file:
            for name, content in members:
                file.writestr(name, content)
        return path

    return write


def recorded(prefix=""):
    paths = [path for path in sorted(LEDGER.rglob("*")) if path.is_file()]
    return [(f"{prefix}{path.relative_to(LEDGER)}", path.read_bytes()) for path in paths]


@pytest.mark.parametrize("prefix", ["", "ledger/", "runs/our ledger/"])
def test_a_zip_reads_as_its_folder(zipped, prefix):
    others = [("README.md", "read me"), ("__MACOSX/._a.json", "\0"), ("src/train.py", "1/0")]
    path = zipped(*recorded(prefix), *others)
    read = ledger.read(path)
    assert read == ledger.read(LEDGER)
    assert len(read.entries) == 3
    with as_folder(path) as folder:
        assert start_event(folder, REACHED) == start_event(LEDGER, REACHED) is not None
        assert {entry.name for entry in folder.iterdir()} == {p.name for p in LEDGER.iterdir()}


def test_an_invalid_file_is_named_by_its_place_in_the_zip(zipped):
    path = zipped((f"a/{REACHED}.json", ENTRY), ("a/broken.json", "{"))
    (problem,) = ledger.read(path).problems
    assert (problem.path, problem.reason[:8]) == (path / "broken.json", "not JSON")


def link():
    info = zipfile.ZipInfo(f"{REACHED}.json")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside.json", "leads out of the folder"),
        ("ledger/../../outside.json", "leads out of the folder"),
        ("/tmp/outside.json", "leads out of the folder"),
        ("..\\outside.json", "leads out of the folder"),
        ("../events/outside.jsonl.gz", "leads out of the folder"),
        (f"{'x' * 251}.json", "is longer than 255 bytes"),
        (link(), "is a link or a device"),
    ],
    ids=str,
)
def test_a_zip_that_is_not_safe_is_refused(zipped, name, why):
    path = zipped(("one.json", ENTRY), (name, ENTRY))
    with pytest.raises(UserError, match=why) as refused:
        ledger.read(path)
    assert str(refused.value).startswith(f"{path} is not safe to unpack: ")
    assert "zip -r" in str(refused.value)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_packings_that_unpack_in_bounded_steps_are_read(tmp_path, packing):
    with zipfile.ZipFile(tmp_path / "ledger.zip", "w", packing) as file:
        file.writestr(f"{REACHED}.json", ENTRY)
    with pytest.raises(UserError, match="neither store nor deflate"):
        ledger.read(tmp_path / "ledger.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(zipped):
    path = zipped((f"{REACHED}.json", ENTRY), (f"./{REACHED}.json", b"{}"))
    with pytest.raises(UserError, match="is in it twice"):
        ledger.read(path)


def test_the_bounds_hold_for_unpacked_bytes(zipped, monkeypatch):
    path = zipped((f"{REACHED}.json", ENTRY), ("zeros.json", b"0" * 10_000_000))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(archive, "LARGEST_UNPACKED_BYTES", 9_000_000)
    with pytest.raises(UserError, match="unpacks to more than 9,000,000 bytes"):
        ledger.read(path)
    monkeypatch.setattr(archive, "MOST_FILES", 1)
    with pytest.raises(UserError, match="holds more than 1 files"):
        ledger.read(path)
    monkeypatch.setattr(archive, "LARGEST_ZIP_BYTES", 1000)
    with pytest.raises(UserError, match="larger than 1,000 bytes"):
        ledger.read(path)


def test_a_file_over_its_own_bound_is_a_problem_of_that_file(zipped):
    large = b"0" * (store.LARGEST_ENTRY_BYTES + 1_000_000)
    path = zipped((f"{REACHED}.json", ENTRY), ("zeros.json", large))
    with as_folder(path) as folder:
        assert (folder / "zeros.json").stat().st_size == store.LARGEST_ENTRY_BYTES + 1
    read = ledger.read(path)
    assert [entry.run_id for entry in read.entries] == [REACHED]
    (problem,) = read.problems
    assert "larger than 16,777,216 bytes" in problem.reason


def test_the_entries_must_be_in_one_folder(zipped):
    with pytest.raises(UserError, match="in 2 folders: 'a', 'b'"):
        ledger.read(zipped(("a/x.json", ENTRY), ("b/y.json", ENTRY)))
    with pytest.raises(UserError, match="in 0 folders"):
        ledger.read(zipped(("notes.txt", "none")))


def encrypted(content):
    """Set the flag of encryption where the member's headers have it."""
    local, central = content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8
    return bytes(b | 1 if at in (local, central) else b for at, b in enumerate(content))


def flipped(content):
    """Change a byte of the packed data."""
    at = 30 + len(f"{REACHED}.json") + 200
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"run_id,model\n", lambda whole: whole[:-30], encrypted, flipped, lambda _: b""],
    ids=["a table", "cut", "encrypted", "flipped", "empty"],
)
def test_a_damaged_zip_is_a_users_mistake(zipped, damage):
    path = zipped((f"{REACHED}.json", ENTRY))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="cannot be read as a zip file"):
        ledger.read(path)


def test_a_temporary_folder_that_cannot_be_written_is_named(zipped, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", os.devnull)
    with pytest.raises(UserError, match="TMPDIR=DIR"):
        ledger.read(zipped((f"{REACHED}.json", ENTRY)))


def test_a_missing_zip_is_a_missing_ledger():
    with pytest.raises(UserError, match=r"no ledger at nowhere\.zip"):
        ledger.read(Path("nowhere.zip"))
