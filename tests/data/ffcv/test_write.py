"""Writing FFCV files: what comes out is what went in, and nothing looks finished that is not."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficiency_bench.data import folder
from efficiency_bench.data.crops import centre_crops
from efficiency_bench.data.ffcv import beton, splits, write
from efficiency_bench.data.ffcv.beton import Storage
from efficiency_bench.data.ffcv.decode import CropBatch, decode
from efficiency_bench.data.ffcv.write import FfcvOptions, write_ffcv
from efficiency_bench.data.ffcv.writer_process import MIN_PAGE_BYTES, page_bytes
from efficiency_bench.data.stored_files import locked, record_path
from efficiency_bench.errors import UserError
from tests.commands import command
from tests.data.ffcv.betons import lay_out, needs_ffcv, noise
from tests.data.photos import picture, plant

pytestmark = needs_ffcv

PIXELS = Storage(mode="raw", jpeg_quality=None, max_px=60)

FFCVS_OWN = """
import hashlib, json, sys
from ffcv.fields.decoders import IntDecoder, CenterCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import Squeeze, ToTensor
image = [CenterCropRGBImageDecoder((24, 24), ratio=0.8), ToTensor()]
label = [IntDecoder(), ToTensor(), Squeeze()]
loader = Loader(sys.argv[1], batch_size=64, num_workers=1, order=OrderOption.SEQUENTIAL,
                drop_last=False, pipelines={"image": image, "label": label})
((images, labels),) = loader
print(json.dumps([labels.tolist(), hashlib.sha256(images.numpy().tobytes()).hexdigest()]))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source of odd images, and the folder that the command line wrote from it as pixels."""
    source = plant(tmp_path_factory.mktemp("source"), train=14, val=3)
    ant = source / "train" / "ant"
    picture(1).convert("L").save(ant / "grey.JPEG")
    picture(2).convert("CMYK").save(ant / "cmyk.JPEG")
    picture(3).save(ant / "png.JPEG", "PNG")
    picture(4, 200, 90).save(ant / "large.JPEG")
    out = tmp_path_factory.mktemp("out") / "betons"
    options = ("--mode", "raw", "--max-px", "60", "--workers", "2")
    done = command("data", "write-ffcv", str(source), str(out), *options, cwd=source)
    assert done.returncode == 0, done.stderr
    assert f"{out}/train.beton: 32 images" in done.stdout
    return source, out


def test_pixels_are_those_of_the_source_in_its_order(written: tuple[Path, Path]) -> None:
    source, out = written
    for split in ("train", "val"):
        photos = folder.scan(source / split)
        stored = beton.read(out / f"{split}.beton")
        assert stored.labels.tolist() == photos.labels.tolist()
        for i in range(len(photos)):
            pixels = stored.mapped()[stored.begins[i] :][: stored.sizes[i]]
            image = Image.open(photos.path(i)).convert("RGB")
            if image.width == 200:
                assert (stored.widths[i], stored.heights[i]) == (60, 27)
            else:
                assert pixels.tobytes() == image.tobytes()


def test_the_record_says_what_was_made_of_what(written: tuple[Path, Path]) -> None:
    source, out = written
    file = out / "train.beton"
    record = json.loads(record_path(file).read_text())
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record["source_digest"] == folder.load(source, None, None).digest()
    assert record["classes"] == ["ant", "bee"]
    assert record["storage"] == {"mode": "raw", "jpeg_quality": None, "max_px": 60}
    assert record["versions"]["ffcv"] == "1.0.2"
    assert sorted(path.name for path in out.iterdir()) == [
        "train.beton",
        "train.beton.json",
        "val.beton",
        "val.beton.json",
    ]
    assert [record.images for record in splits.check_whole(out)] == [32, 6]


def test_ffcvs_own_loader_reads_the_same(written: tuple[Path, Path]) -> None:
    """Its reader, decoder and crop in a process of its own: the same labels and pixels."""
    file = written[1] / "train.beton"
    done = subprocess.run(
        [sys.executable, "-c", FFCVS_OWN, file], capture_output=True, text=True, check=True
    )
    labels, digest = json.loads(done.stdout)
    stored = beton.read(file)
    out = np.empty((len(stored), 24, 24, 3), dtype=np.uint8)
    side = (0.8 * np.minimum(stored.heights, stored.widths)).astype(int)
    top, left = (stored.heights - side) // 2, (stored.widths - side) // 2
    crops = np.stack([top, left, side, side], axis=1)
    decode(stored.mapped(), CropBatch(stored, crops, np.zeros(len(stored), dtype=bool)), out)
    assert stored.labels.tolist() == labels
    assert hashlib.sha256(out.tobytes()).hexdigest() == digest
    assert not np.array_equal(crops, centre_crops(stored.heights, stored.widths, 0.8))


def _nothing(what: str, done: int, total: int) -> None:
    pass


def test_what_is_finished_is_kept_and_what_is_another_is_refused(
    written: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = written
    monkeypatch.setattr(write, "WRITER", ("-c", "raise SystemExit('not to be started')"))
    assert len(write_ffcv(FfcvOptions(source, out, PIXELS, 1), _nothing)) == 2
    other = Storage(mode="jpg", jpeg_quality=90, max_px=60)
    with pytest.raises(UserError, match=r"train.beton.json exists already, for another source"):
        write_ffcv(FfcvOptions(source, out, other, 1), _nothing)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """FFCV's writer would wait for ever for the worker that met it."""
    plant(tmp_path / "source", train=30)
    broken = tmp_path / "source" / "train" / "bee" / "007.JPEG"
    broken.write_bytes(broken.read_bytes()[:-300])
    out = tmp_path / "out"
    with pytest.raises(UserError, match=f"cannot read the image {broken}: ") as refused:
        write_ffcv(FfcvOptions(tmp_path / "source", out, PIXELS, 2), _nothing)
    assert len(str(refused.value).splitlines()) == 1
    assert list(out.iterdir()) == []


def test_a_worker_that_fails_between_two_looks_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress is reported every minute here, and both workers fail long before the second time."""
    plant(tmp_path / "source", train=30)
    for photo in (tmp_path / "source" / "train" / "bee").iterdir():
        photo.write_bytes(photo.read_bytes()[:-300])
    slow = (
        "from efficiency_bench.data.ffcv import writer_process as it;"
        " it.REPORT_SECONDS = 60; it.main()"
    )
    monkeypatch.setattr(write, "WRITER", ("-c", slow))
    monkeypatch.setattr(write, "STALLED_SECONDS", 30.0)
    with pytest.raises(UserError, match="cannot read the image"):
        write_ffcv(FfcvOptions(tmp_path / "source", tmp_path / "out", PIXELS, 2), _nothing)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The writers that are started from here on."""
    found: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments: object, **settings: object) -> None:
            super().__init__(*arguments, **settings)
            found.append(self)

    monkeypatch.setattr(write.subprocess, "Popen", Noted)
    return found


def test_ctrl_c_leaves_no_file_and_no_process(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    plant(tmp_path / "source")

    def interrupted(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ffcv(FfcvOptions(tmp_path / "source", tmp_path / "out", PIXELS, 2), interrupted)
    assert list((tmp_path / "out").iterdir()) == []
    assert [process.poll() is not None for process in started] == [True]


STAND_INS: dict[str, tuple[str, str]] = {
    "stalled": (
        "import time; print(0, flush=True); time.sleep(600)",
        "stalled: no image",
    ),
    "fails": ("raise SystemExit('the disk is full')", "cannot be written: the disk is full"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "the writer was killed"),
    "writes nothing": ("print(0)", "cannot read .*unfinished"),
    "writes a file without its table": (
        "import json, sys;open(json.load(sys.stdin)['file'], 'wb').write(b'\\2\\0\\2' + bytes(99))",
        "it was never finished",
    ),
}


@pytest.mark.parametrize("kind", STAND_INS)
def test_a_writer_that_misbehaves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[subprocess.Popen[bytes]],
    kind: str,
) -> None:
    """Stand-ins for FFCV's writer: nobody can make it hang or lose its file when asked to."""
    plant(tmp_path / "source")
    code, message = STAND_INS[kind]
    monkeypatch.setattr(write, "WRITER", ("-c", code))
    monkeypatch.setattr(write, "STALLED_SECONDS", 1.0 if kind == "stalled" else 60.0)
    with pytest.raises(UserError, match=message):
        write_ffcv(FfcvOptions(tmp_path / "source", tmp_path / "out", PIXELS, 1), _nothing)
    assert list((tmp_path / "out").iterdir()) == []
    assert [process.poll() is not None for process in started] == [True]


def test_two_writers_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "source")
    options = FfcvOptions(tmp_path / "source", tmp_path / "out", PIXELS, 1)
    with (
        locked(options.out),
        pytest.raises(UserError, match="another process is writing to"),
    ):
        write_ffcv(options, _nothing)


def _grown(source: Path) -> None:
    picture(9).save(source / "train" / "bee" / "new.JPEG")


def _changed(source: Path) -> None:
    picture(9, 90, 90).save(source / "train" / "bee" / "001.JPEG")


@pytest.mark.parametrize("change", [_grown, _changed])
def test_a_source_that_changes_while_it_is_written(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    source = plant(tmp_path / "source", train=4)
    photos = folder.scan(source / "train")
    stored = beton.read(lay_out(tmp_path / "a.beton", noise(8), [0] * 4 + [1] * 4))
    options = FfcvOptions(source, tmp_path, PIXELS, 1)
    write._check_against(stored, photos, options, lambda done: None)
    change(source)
    with pytest.raises(UserError, match="changed while it was read"):
        write._check_against(stored, photos, options, lambda done: None)


@pytest.mark.parametrize("max_px", [16, 500, 1672, 1673, 4096])
def test_a_page_holds_two_images_stored_as_pixels(max_px: int) -> None:
    page = page_bytes(max_px)
    assert page >= max(MIN_PAGE_BYTES, 2 * 3 * max_px**2)
    assert page & (page - 1) == 0
    assert page < 2 * max(MIN_PAGE_BYTES, 2 * 3 * max_px**2)
    assert page < 1 << 32
