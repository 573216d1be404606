"""Downloads from a real server on loopback that disconnects or sends wrong data."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from efficiency_bench.data import cifar
from efficiency_bench.data.fetch import RemoteArchive, fetch
from efficiency_bench.errors import UserError

FOLDER = "cifar-10-batches-py"


class Server(ThreadingHTTPServer):
    """Serves one archive, breaks off after some bytes, and may know nothing of ranges."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.breaks_after: int | None = None
        self.knows_ranges = True
        self.status = 200
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, place = self.server, self.headers["Range"]
        server.asked.append(place)
        start = int(place.removeprefix("bytes=").removesuffix("-")) if place else 0
        if server.status != 200:
            return self.begin(server.status, 0)
        if not server.knows_ranges:
            start = 0
        elif place and start >= len(server.content):
            return self.begin(416, 0)
        rest = server.content[start:]
        place = f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
        headers = {"Content-Range": place} if start else {}
        self.begin(206 if start else 200, len(rest), headers)
        self.wfile.write(rest[: server.breaks_after])
        return None

    def begin(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()


def packed(names: tuple[str, ...] = (f"{FOLDER}/data_batch_1", f"{FOLDER}/readme.html")) -> bytes:
    """A small archive whose files hold their own names many times."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name in names:
            content = hashlib.shake_128(name.encode()).digest(50_000)  # does not compress
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return whole.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(packed()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def source(server: Server, content: bytes | None = None) -> RemoteArchive:
    """What is asked for: by default what the server has."""
    md5 = hashlib.md5(server.content if content is None else content).hexdigest()
    return RemoteArchive(
        "CIFAR-10", f"http://127.0.0.1:{server.server_address[1]}/a.tar.gz", md5, FOLDER
    )


def refused(server: Server, root: Path, *words: str, content: bytes | None = None) -> None:
    with pytest.raises(UserError) as refusal:
        fetch(source(server, content), root)
    for word in words:
        assert word in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 2
    assert not (root / FOLDER).exists(), "nothing that looks finished"


def whole(root: Path) -> bool:
    names = {"data_batch_1", "readme.html"}
    files = {path.name: path.read_bytes() for path in (root / FOLDER).iterdir()}
    assert [path.name for path in root.iterdir()] == [FOLDER], "nothing else is left"
    return files == {n: hashlib.shake_128(f"{FOLDER}/{n}".encode()).digest(50_000) for n in names}


def test_an_archive_is_fetched_once(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "not" / "there"
    assert fetch(source(server), root) == root / FOLDER
    assert whole(root)
    fetch(source(server), root)
    assert server.asked == [None]


def test_an_interrupted_download_resumes(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.breaks_after = 30_000
    refused(server, tmp_path, "30000 of", "run the same command again to resume")
    refused(server, tmp_path, "60000 of", "run the same command again to resume")
    server.breaks_after = None
    fetch(source(server), tmp_path)
    assert whole(tmp_path)
    assert server.asked == [None, "bytes=30000-", "bytes=60000-"]
    assert capsys.readouterr().out == "", "standard output is the command's own"


def test_without_range_support_the_download_starts_over(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.breaks_after = 30_000
    refused(server, tmp_path, "30000 of")
    server.breaks_after = None
    fetch(source(server), tmp_path)
    assert whole(tmp_path)


def test_a_download_killed_before_unpacking_needs_no_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / f".{FOLDER}.part").write_bytes(server.content)
    (tmp_path / f".{FOLDER}.unpacking" / FOLDER).mkdir(parents=True)
    (tmp_path / f".{FOLDER}.unpacking" / FOLDER / "half").touch()
    fetch(source(server), tmp_path)
    assert whole(tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("length", [10, 1_000_000])
def test_a_corrupt_partial_file_costs_one_more_download(
    server: Server, tmp_path: Path, length: int
) -> None:
    (tmp_path / f".{FOLDER}.part").write_bytes(b"x" * length)
    if length < len(server.content):
        refused(server, tmp_path, "MD5")
    fetch(source(server), tmp_path)
    assert whole(tmp_path)


def test_a_corrupt_archive_fails_its_checksum(server: Server, tmp_path: Path) -> None:
    good = server.content
    server.content = good[:-1] + bytes([good[-1] ^ 1])
    refused(server, tmp_path, "MD5", "deleted", content=good)
    server.content = good
    fetch(source(server), tmp_path)
    assert whole(tmp_path)


def test_an_archive_missing_on_the_server(server: Server, tmp_path: Path) -> None:
    server.status = 404
    refused(server, tmp_path, "Not Found", FOLDER)


def link() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, kind, target in ((FOLDER, tarfile.SYMTYPE, "/etc"),):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        packed((f"{FOLDER}/a", "../outside")),
        packed((f"{FOLDER}/../../outside",)),
        packed(("elsewhere/a",)),
        link(),
        b"no archive at all",
    ],
    ids=["parent", "parent-inside", "other-folder", "link", "no-archive"],
)
def test_an_archive_with_paths_outside_its_folder_is_rejected_despite_its_checksum(
    server: Server, tmp_path: Path, content: bytes
) -> None:
    server.content = content
    root = tmp_path / "root"
    refused(server, root, source(server).url)
    assert not list(tmp_path.rglob("outside"))
    assert not list(root.rglob("elsewhere"))


def test_two_processes_download_it_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        done = [both.submit(fetch, source(server), tmp_path) for _ in range(2)]
        assert [future.result() for future in done] == [tmp_path / FOLDER] * 2
    assert whole(tmp_path)
    assert server.asked == [None]


def test_training_downloads_only_if_allowed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = cifar.Archive(**{**vars(cifar.CIFAR10), "source": source(server)})
    monkeypatch.setitem(cifar.ARCHIVES, "cifar10", archive)
    with pytest.raises(UserError, match=r"batches\.meta is missing"):  # only two of its files here
        cifar.load("cifar10", tmp_path, download=True)
    assert whole(tmp_path)
