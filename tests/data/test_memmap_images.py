"""Square images in .npy files: Pillow's pixels, complete files or none, one copy in memory."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from efficiency_bench.data import Data, build_data, folder, memmap_images
from efficiency_bench.data.augment import epoch_order
from efficiency_bench.data.loader import Shard
from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap
from efficiency_bench.data.stored_files import locked, record_path
from efficiency_bench.errors import UserError
from tests.commands import command
from tests.data.photos import picture, plant
from tests.data.settings import build, data_config, recipe_config, same_batches
from tests.disks import small_disk  # noqa: F401 (a fixture)

SIDE = 24


def _nothing(what: str, done: int, total: int) -> None:
    pass


def _stored(root: Path, train: int = 5, val: int = 3, side_px: int = SIDE) -> Path:
    """A small tree and its squares; returns the folder of the squares."""
    source = plant(root / "source", train=train, val=val)
    write_memmap(MemmapOptions(source, root / "out", side_px, 0), _nothing)
    return root / "out"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source of odd images, and the folder that the command line wrote from it."""
    source = plant(tmp_path_factory.mktemp("source"), train=70, val=3)
    ant = source / "train" / "ant"
    picture(1).convert("L").save(ant / "grey.JPEG")
    picture(2).convert("CMYK").save(ant / "cmyk.JPEG")
    picture(3).save(ant / "png.JPEG", "PNG")
    picture(4, 30, 211).save(ant / "tall.JPEG")
    picture(5, 9, 7).save(ant / "tiny.JPEG")
    out = tmp_path_factory.mktemp("out") / "squares"
    done = command(
        "data", "write-memory", str(source), str(out), "--side-px", f"{SIDE}", "--workers", "2",
        cwd=source,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{out}/train.npy: 145 images, 0.3 MB" in done.stdout
    return source, out


def _by_hand(path: Path) -> np.ndarray:
    """The centre square of an image at SIDE, by Pillow alone: uint8 [3, SIDE, SIDE]."""
    image = Image.open(path).convert("RGB")
    short = min(image.size)
    width, height = (int(SIDE * length / short) for length in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    return np.asarray(small.crop((left, top, left + SIDE, top + SIDE))).transpose(2, 0, 1)


def test_the_line_gives_how_many_of_the_stored_images_the_run_uses(
    written: tuple[Path, Path],
) -> None:
    root = str(written[1])
    lines: list[str] = []
    config = data_config("imagenet_memory", 24, root=root, train_images=4, val_images=2)
    build_data(config, recipe_config(), 0, torch.device("cpu"), tell=lines.append)
    (line,) = lines
    assert re.search(r": 4 of \d+ training images in 2 classes, 2 of \d+ for validation", line)


def test_pixels_are_pillows_in_the_sources_order(written: tuple[Path, Path]) -> None:
    source, out = written
    (splits, notes) = memmap_images.load(out)
    assert "squares of 24 px" in notes[0]
    assert "content of the .npy files were checked" in notes[1]
    for name, images in (("train", splits.train), ("val", splits.val)):
        photos = folder.scan(source / name)
        assert torch.equal(images.labels, photos.labels)
        assert images.classes == ("ant", "bee")
        for i in range(len(photos)):
            assert np.array_equal(images.images[i].numpy(), _by_hand(photos.path(i)))


def test_the_record_describes_source_and_result(written: tuple[Path, Path]) -> None:
    source, out = written
    file = out / "train.npy"
    record = json.loads(record_path(file).read_text())
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record["source_digest"] == folder.load(source, None, None).digest()
    assert record["images_per_class"] == [75, 70]
    assert record["side_px"] == SIDE
    assert np.load(file).shape == (145, 3, SIDE, SIDE)  # a .npy that anything reads
    assert len(list(out.iterdir())) == 4
    done = command("data", "check-memory", str(out), cwd=out)
    assert "val.npy: 6 images, unchanged" in done.stdout


def test_the_same_source_gives_the_same_digest_however_many_workers(tmp_path: Path) -> None:
    source = plant(tmp_path / "source", train=70)
    for workers in (0, 2):
        write_memmap(MemmapOptions(source, tmp_path / f"{workers}", SIDE, workers), _nothing)
    one, other = (memmap_images.load(tmp_path / name)[0].digest() for name in ("0", "2"))
    assert one == other
    write_memmap(MemmapOptions(source, tmp_path / "smaller", 16, 0), _nothing)
    assert memmap_images.load(tmp_path / "smaller")[0].digest() != one


def _built(root: Path, shard: Shard = Shard(), **data: object) -> Data:  # noqa: B008 (frozen)
    config = data_config("imagenet_memory", 16, root=str(root), resize_px=20, **data)
    return build(config, recipe_config(4, flip=True), seed=5, shard=shard)


def test_first_batch_and_counts(tmp_path: Path) -> None:
    data = _built(_stored(tmp_path))
    assert (data.train_images, data.val_images, data.classes) == (10, 6, ("ant", "bee"))
    images, labels = next(data.train.epoch(0, 4, image_px=16))
    assert images.shape == (4, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert labels.tolist() == (epoch_order(5, 0, 10)[:4] >= 5).long().tolist()
    assert next(data.train.epoch(0, 4, image_px=12))[0].shape == (4, 3, 12, 12)


def _plain(root: Path, train: int, val: int) -> Path:
    """Squares of one colour, which says which they are and survives any crop.

    Those to validate with are lighter by one level of 256, so that none is a training image.
    """
    for split, count, lighter in (("train", train, 0), ("val", val, 1)):
        for i in range(count):
            place = root / "source" / split / ("ant" if 2 * i < count else "bee")
            place.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 30), (20 * i + lighter,) * 3).save(place / f"{i:02}.png")
    write_memmap(MemmapOptions(root / "source", root / "out", SIDE, 0), _nothing)
    return root / "out"


def _which(images: Tensor) -> list[int]:
    return [round((float(image.mean()) + 1) / 2 * 255 / 20) for image in images]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_image_once_in_the_same_order_for_any_number_of_processes(
    tmp_path: Path, processes: int
) -> None:
    root = _plain(tmp_path, 11, 7)
    parts = [_built(root, Shard(rank, processes)) for rank in range(processes)]
    for epoch in range(2):
        order = epoch_order(5, epoch, 11)
        steps = [data.train.epoch(epoch, 4, image_px=16) for data in parts]
        for number, batches in enumerate(zip(*steps, strict=True)):
            whole = order[4 * number : 4 * number + 4]
            for rank, (images, labels) in enumerate(batches):
                assert _which(images) == whole[rank::processes].tolist()
                assert torch.equal(labels, (2 * whole[rank::processes] >= 11).long())
    seen = [i for data in parts for images, _ in data.validation() for i in _which(images)]
    assert sorted(seen) == list(range(7))


def test_one_process_and_two_see_the_same_images(tmp_path: Path) -> None:
    root = _stored(tmp_path)
    alone = [images for images, _ in _built(root).train.epoch(1, 4, image_px=16)]
    pair = [_built(root, Shard(rank, 2)).train.epoch(1, 4, image_px=16) for rank in (0, 1)]
    for whole, (first, _), (second, _) in zip(alone, *pair, strict=True):
        torch.testing.assert_close(whole[::2], first)
        torch.testing.assert_close(whole[1::2], second)


def test_starting_inside_an_epoch_gives_the_same_batches(tmp_path: Path) -> None:
    data = _built(_stored(tmp_path))
    whole = list(data.train.epoch(2, 3, image_px=16))
    for start in range(len(whole) + 1):
        rest = list(data.train.epoch(2, 3, image_px=16, start_step=start))
        assert same_batches(whole[start:], rest)
    assert not same_batches(whole, list(data.train.epoch(1, 3, image_px=16)))


def test_validation_is_the_centre_resized(tmp_path: Path) -> None:
    """16 of 20 of a side of 24 px: the 19 px in the middle."""
    root = _stored(tmp_path)
    stored = memmap_images.load(root)[0].val.images
    ((images, _),) = _built(root).validation()
    middle = stored[..., 2:21, 2:21].float() / 127.5 - 1
    expected = torch.nn.functional.interpolate(
        middle, size=16, mode="bilinear", align_corners=False, antialias=True
    )
    torch.testing.assert_close(images, expected)


def test_enlarged_images_are_reported(tmp_path: Path) -> None:
    root = _stored(tmp_path)
    config = data_config("imagenet_memory", 32, root=str(root), resize_px=36)
    assert "stored images of 24 px are enlarged to data.image_px=32" in build(config).notes
    assert not any("enlarged" in note for note in _built(root).notes)


def test_a_subset_has_another_digest(tmp_path: Path) -> None:
    root = _stored(tmp_path)
    whole, part = _built(root), _built(root, train_images=4)
    assert part.train_images == 4
    assert part.digest != whole.digest
    assert len(next(part.train.epoch(0, 4, image_px=16))[1]) == 4


def test_a_finished_file_is_kept_and_a_different_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = _stored(tmp_path)
    monkeypatch.setattr(memmap_images, "resized_squares", None)  # not to be called
    assert len(write_memmap(MemmapOptions(tmp_path / "source", out, SIDE, 0), _nothing)) == 2
    with pytest.raises(UserError, match=r"train.npy.json exists already, for another source"):
        write_memmap(MemmapOptions(tmp_path / "source", out, 16, 0), _nothing)


def _cut_off(root: Path) -> None:
    (root / "val.npy").write_bytes((root / "val.npy").read_bytes()[:-1])


def _altered(root: Path) -> None:
    pixels = bytearray((root / "val.npy").read_bytes())
    pixels[-1] ^= 1
    (root / "val.npy").write_bytes(pixels)


def _objects(root: Path) -> None:
    np.save(root / "val.npy", np.array([{}]), allow_pickle=True)


def _edited(**changes: object) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        path = record_path(root / "val.npy")
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda root: (root / "val.npy").unlink(), r"no .*val.npy; data.root=DIR names"),
    "no record": (lambda root: record_path(root / "val.npy").unlink(), "was never finished"),
    "no JSON": (
        lambda root: record_path(root / "val.npy").write_text("{"),
        "is not a valid record",
    ),
    "cut off": (_cut_off, "does not match its record"),
    "a pickle": (_objects, "does not match its record"),
    "empty": (lambda root: (root / "val.npy").write_bytes(b""), "does not match its record"),
    "altered": (_altered, "has been changed since it was written"),
    "other counts": (_edited(images_per_class=[3, 4]), "does not match its record"),
    "other classes": (_edited(classes=["ant", "cat"]), "training and validation classes differ"),
    "other source": (_edited(source_digest="0"), "have different sources or sides"),
    "another's record": (_edited(file="train.npy"), "is the record of train.npy"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_incomplete_file_is_rejected_before_training(tmp_path: Path, kind: str) -> None:
    out = _stored(tmp_path)
    harm, message = BROKEN[kind]
    harm(out)
    with pytest.raises(UserError, match=message):
        _built(out)


def test_large_files_are_checked_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = _stored(tmp_path)
    _altered(out)
    monkeypatch.setattr(memmap_images, "CONTENT_CHECKED_BYTES", 100)
    assert f"efficiency-bench data check-memory {out}" in memmap_images.load(out)[1][1]
    with pytest.raises(UserError, match=r"val\.npy has been changed"):
        memmap_images.check_whole(out)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    source = plant(tmp_path / "source", train=30)
    broken = source / "train" / "bee" / "007.JPEG"
    broken.write_bytes(broken.read_bytes()[:-300])
    with pytest.raises(UserError, match=f"cannot read the image {broken}: "):
        write_memmap(MemmapOptions(source, tmp_path / "out", SIDE, 2), _nothing)
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_leaves_no_file(tmp_path: Path) -> None:
    def interrupted(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    source = plant(tmp_path / "source")
    with pytest.raises(KeyboardInterrupt):
        write_memmap(MemmapOptions(source, tmp_path / "out", SIDE, 2), interrupted)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_refused_at_once(tmp_path: Path, small_disk: Path) -> None:  # noqa: F811
    source = plant(tmp_path / "source", train=20)
    with pytest.raises(UserError, match=r"46 images of 64 px need 0.000565 GB;\nfree some space"):
        write_memmap(MemmapOptions(source, small_disk, 64, 0), _nothing)


def test_a_disk_that_fills_leaves_nothing(
    tmp_path: Path,
    small_disk: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Free space at the start may be used up by others."""
    source = plant(tmp_path / "source", train=20)
    monkeypatch.setattr(memmap_images, "_check_room", lambda options, images: None)
    with pytest.raises(UserError, match=r"cannot write .*train\.npy: No space left on device"):
        write_memmap(MemmapOptions(source, small_disk, 64, 0), _nothing)
    assert list(small_disk.iterdir()) == []


def test_a_source_that_changes_while_it_is_read(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")

    def grow(what: str, done: int, total: int) -> None:
        picture(9).save(source / "train" / "bee" / "new.JPEG")

    with pytest.raises(UserError, match="changed while it was read"):
        write_memmap(MemmapOptions(source, tmp_path / "out", SIDE, 0), grow)
    assert list((tmp_path / "out").iterdir()) == []


def test_two_writers_in_the_same_folder(tmp_path: Path) -> None:
    source = plant(tmp_path / "source")
    with locked(tmp_path / "out"), pytest.raises(UserError, match="another process is writing to"):
        write_memmap(MemmapOptions(source, tmp_path / "out", SIDE, 0), _nothing)
