"""Image folders: listed, decoded and augmented the same by any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from efficiency_bench.data import folder
from efficiency_bench.data.loader import Shard
from efficiency_bench.errors import UserError
from tests.data.photos import picture, plant
from tests.data.settings import build, data_config, recipe_config, same_batches

# CPython 3.12 warns of every fork under threads; DataLoader forks, and torch has threads
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def _config(root: Path, **settings: object):
    return data_config("imagenet", 24, root=str(root), resize_px=28, **settings)


def _epoch(root: Path, epoch: int = 0, start_step: int = 0, workers: int = 0, **recipe: object):
    data = build(_config(root, workers=workers), recipe_config(3, flip=True, **recipe))
    return list(data.train.epoch(epoch, 3, image_px=24, start_step=start_step))


def test_first_batch_and_counts(tmp_path: Path) -> None:
    data = build(_config(plant(tmp_path, train=5, val=3)))
    assert (data.train_images, data.val_images, data.classes) == (10, 6, ("ant", "bee"))
    images, labels = next(data.train.epoch(0, 4, image_px=24))
    assert images.shape == (4, 3, 24, 24)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert labels.dtype == torch.int64
    assert [len(labels) for _, labels in data.train.epoch(0, 3, image_px=24)] == [3, 3, 4]
    assert next(data.train.epoch(0, 4, image_px=16))[0].shape == (4, 3, 16, 16)
    val = torch.cat([labels for _, labels in data.validation()])
    assert val.tolist() == [0, 0, 0, 1, 1, 1]


def test_every_image_once_per_epoch(tmp_path: Path) -> None:
    """Single-coloured images survive any crop: their colour says which they are."""
    for split, green in (("train", 0), ("val", 9)):
        for i in range(11):
            place = tmp_path / split / ("odd" if i % 2 else "even")
            place.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 30), (20 * i, green, 0)).save(place / f"{i:02}.png")
    data = build(_config(tmp_path))
    for epoch in range(2):
        red = [
            round((float(image[0].mean()) + 1) / 2 * 255 / 20)
            for images, _ in data.train.epoch(epoch, 4, image_px=24)
            for image in images
        ]
        assert sorted(red) == list(range(11))
        assert red != list(range(11))


@pytest.mark.parametrize("auto_augment", [False, True])
def test_workers_do_not_change_a_pixel(tmp_path: Path, auto_augment: bool) -> None:
    plant(tmp_path, train=5)
    here = _epoch(tmp_path, epoch=1, auto_augment=auto_augment)
    assert same_batches(here, _epoch(tmp_path, epoch=1, workers=2, auto_augment=auto_augment))
    assert not same_batches(here, _epoch(tmp_path, epoch=1, auto_augment=not auto_augment))


def test_shards_together_are_the_batches_of_one_process(tmp_path: Path) -> None:
    plant(tmp_path, train=5, val=4)
    config, recipe = _config(tmp_path), recipe_config(3, flip=True)
    whole = _epoch(tmp_path, epoch=1)
    shares = [build(config, recipe, shard=Shard(rank, 2)) for rank in range(2)]
    for rank, data in enumerate(shares):
        batches = list(data.train.epoch(1, 3, image_px=24))
        assert same_batches(
            batches, [(images[rank::2], labels[rank::2]) for images, labels in whole]
        )
    assert sum(len(labels) for data in shares for _, labels in data.validation()) == 8


def test_workers_persist_and_an_epoch_can_be_abandoned(tmp_path: Path) -> None:
    plant(tmp_path, train=5)
    data = build(_config(tmp_path, workers=2), recipe_config(3, flip=True))
    abandoned = data.train.epoch(0, 3, image_px=24)
    next(abandoned)
    assert [len(labels) for _, labels in data.validation()] == [6]
    assert same_batches(list(data.train.epoch(1, 3, image_px=24)), _epoch(tmp_path, epoch=1))
    assert same_batches(list(data.train.epoch(0, 3, image_px=24)), _epoch(tmp_path, epoch=0))


def test_an_evaluation_inside_an_epoch_changes_nothing(tmp_path: Path) -> None:
    plant(tmp_path, train=5)
    data = build(_config(tmp_path, workers=1), recipe_config(3, flip=True))
    batches = []
    for batch in data.train.epoch(0, 3, image_px=24):
        batches.append(batch)
        assert sum(len(labels) for _, labels in data.validation()) == 6
    assert same_batches(batches, _epoch(tmp_path))


def test_starting_inside_an_epoch_gives_the_same_batches(tmp_path: Path) -> None:
    plant(tmp_path, train=5)
    whole = _epoch(tmp_path, epoch=2)
    for start in range(len(whole) + 1):
        assert same_batches(whole[start:], _epoch(tmp_path, epoch=2, start_step=start))


def test_epochs_differ_and_the_global_generator_is_unchanged(tmp_path: Path) -> None:
    plant(tmp_path, train=5)
    random = torch.get_rng_state()
    assert not same_batches(_epoch(tmp_path, epoch=0), _epoch(tmp_path, epoch=1))
    assert torch.equal(torch.get_rng_state(), random)
    torch.manual_seed(99)
    assert same_batches(_epoch(tmp_path, epoch=0), _epoch(tmp_path, epoch=0))


def test_validation_is_the_centre_of_the_resized_image(tmp_path: Path) -> None:
    """Red left, green middle, blue right in a wide image: the centre crop sees green alone."""
    plant(tmp_path, val=1)
    stripes = np.zeros((30, 90, 3), dtype=np.uint8)
    for i in range(3):
        stripes[:, 30 * i : 30 * (i + 1), i] = 255
    for name in ("ant", "bee"):
        Image.fromarray(stripes).save(tmp_path / "val" / name / "000.JPEG", quality=95)
    images, _ = next(build(_config(tmp_path)).validation())
    means = images.mean(dim=(0, 2, 3))
    assert means[1] > 0.9
    assert means[0] < -0.9
    assert means[2] < -0.9


def test_no_flip_if_the_data_forbids_it(tmp_path: Path) -> None:
    """Dark left, light right: only a mirror image is light on the left."""
    plant(tmp_path, train=8)
    ramp = np.repeat(np.linspace(0, 255, 40, dtype=np.uint8)[None, :, None], 30, 0).repeat(3, 2)
    for path in tmp_path.glob("train/*/*.JPEG"):
        Image.fromarray(ramp).save(path)

    def mirrored(flip_keeps_class: bool) -> tuple[int, tuple[str, ...]]:
        config = _config(tmp_path, flip_keeps_class=flip_keeps_class)
        data = build(config, recipe_config(4, flip=True, crop_pad_px=2))
        images = torch.cat([images for images, _ in data.train.epoch(0, 4, image_px=24)])
        return int((images[..., 0].mean((1, 2)) > images[..., -1].mean((1, 2))).sum()), data.notes

    count, notes = mirrored(flip_keeps_class=True)
    assert 0 < count < 16
    assert [note.split(":")[0] for note in notes] == ["no crop_pad_px"]
    count, notes = mirrored(flip_keeps_class=False)
    assert count == 0
    assert [note.split(":")[0] for note in notes] == ["no flip", "no crop_pad_px"]


def test_a_balanced_subset_of_files(tmp_path: Path) -> None:
    plant(tmp_path, train=6, val=4)
    whole = build(_config(tmp_path))
    part = build(_config(tmp_path, train_images=7, val_images=4))
    assert (part.train_images, part.val_images) == (7, 4)
    assert part.digest != whole.digest
    labels = torch.cat([labels for _, labels in part.train.epoch(0, 4, image_px=24)])
    assert sorted(torch.bincount(labels).tolist()) == [3, 4]
    assert part.digest == build(_config(tmp_path, train_images=7, val_images=4), seed=5).digest


def test_the_digest_sees_names_sizes_and_splits(tmp_path: Path) -> None:
    plant(tmp_path)
    digest = folder.load(tmp_path, None, None).digest()
    assert folder.load(tmp_path, None, None).digest() == digest
    path = tmp_path / "train" / "ant" / "000.JPEG"
    before = path.read_bytes()
    path.write_bytes(before + b"\0")
    grown = folder.load(tmp_path, None, None).digest()
    path.write_bytes(before)
    assert folder.load(tmp_path, None, None).digest() == digest
    path.rename(path.with_name("9.JPEG"))
    renamed = folder.load(tmp_path, None, None).digest()
    path.with_name("9.JPEG").rename(tmp_path / "val" / "ant" / "000x.JPEG")
    moved = folder.load(tmp_path, None, None).digest()
    assert len({digest, grown, renamed, moved}) == 4


def test_skipped_files(tmp_path: Path) -> None:
    plant(tmp_path)
    listed = folder.load(tmp_path, None, None)
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("not a class")
    (tmp_path / "train" / "ant" / "Thumbs.db").write_text("not an image")
    (tmp_path / "train" / "ant" / "folder.JPEG").mkdir()
    assert folder.load(tmp_path, None, None).digest() == listed.digest()


def _remove(pattern: str) -> Callable[[Path], None]:
    def remove(root: Path) -> None:
        for path in sorted(root.glob(pattern), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    return remove


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove("**/*"), r"no folder .*train; data.root=DIR must contain train/CLASS/IMAGE.JPEG"),
        (_remove("val/**/*"), r"val has no class folders; data.root=DIR must contain train/CLASS"),
        (_remove("train/bee/*"), r"train/bee has no images \(files ending in \.jpg"),
        (lambda root: (root / "val/bee").rename(root / "val/wasp"), "training: bee; .*: wasp"),
        (
            lambda root: (root / "val").rename(root / "valid"),
            r"no folder .*val; data.root=DIR must contain",
        ),
    ],
)
def test_folders_that_cannot_be_used(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(plant(tmp_path))
    with pytest.raises(UserError, match=message):
        build(_config(tmp_path))


def test_a_missing_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*nowhere; data.root=DIR"):
        build(_config(tmp_path / "nowhere"))


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    plant(tmp_path)
    link = tmp_path / "train" / "ant" / "zzz.JPEG"
    link.symlink_to(tmp_path / "gone.JPEG")
    with pytest.raises(UserError, match=r"1 of 9 images are left out.*1 broken link"):
        folder.load(tmp_path, None, None)
    listed = folder.load(tmp_path, None, None, allow_left_out=True)
    assert listed.train.classes == ("ant", "bee")
    assert len(listed.train) == 8  # a broken link is not a file


def _truncated(path: Path) -> None:
    picture(1, 200, 200).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-4000])


BROKEN: dict[str, Callable[[Path], object]] = {
    "truncated": _truncated,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("<html>404</html>"),
    "truncated PNG": lambda path: (
        picture(1).save(path, "PNG"),
        path.write_bytes(path.read_bytes()[:200]),
    ),
}


def _message(batches: Iterable[object]) -> str:
    """Return the error message of reading; pytest.raises would keep the loader's workers alive."""
    try:
        list(batches)
    except UserError as error:
        return str(error)
    return "nothing"


@pytest.mark.parametrize(("workers", "decode"), [(0, "pillow"), (1, "pillow"), (0, "simplejpeg")])
@pytest.mark.parametrize("kind", BROKEN)
def test_an_unreadable_image_is_named(tmp_path: Path, kind: str, workers: int, decode: str) -> None:
    plant(tmp_path)
    data = build(_config(tmp_path, workers=workers, decode=decode))
    paths = [tmp_path / split / "bee" / "001.JPEG" for split in ("train", "val")]
    for path in paths:
        BROKEN[kind](path)
    for path, batches in zip(
        paths, (data.train.epoch(0, 4, image_px=24), data.validation()), strict=True
    ):
        message = _message(batches)
        assert message.startswith(f"cannot read the image {path}: ")
        assert "Traceback" not in message
        assert len(message.splitlines()) == 1


def _exif(path: Path) -> None:
    image = picture(1, 40, 20)
    exif = image.getexif()
    exif[0x0112] = 6  # EXIF: rotate by 90 degrees
    image.save(path, "JPEG", exif=exif)


REAL: dict[str, Callable[[Path], object]] = {
    "grey": lambda path: picture(1).convert("L").save(path, "JPEG"),
    "CMYK": lambda path: picture(1).convert("CMYK").save(path, "JPEG"),
    "progressive": lambda path: picture(1).save(path, "JPEG", progressive=True),
    "EXIF orientation": _exif,
    "PNG named JPEG": lambda path: picture(1).save(path, "PNG"),
    "PNG with transparency": lambda path: picture(1).convert("RGBA").save(path, "PNG"),
    "1 px": lambda path: picture(1, 1, 1).save(path, "JPEG"),
    "1 px high": lambda path: picture(1, 50, 1).save(path, "JPEG"),
    "4000 px": lambda path: Image.new("RGB", (4000, 4000), "red").save(path, "JPEG"),
}


@pytest.mark.parametrize("decode", ["pillow", "simplejpeg"])
@pytest.mark.parametrize("kind", REAL)
def test_the_test_photographs_cover_unusual_formats(tmp_path: Path, kind: str, decode: str) -> None:
    plant(tmp_path, train=2, val=2)
    for split in ("train", "val"):
        REAL[kind](tmp_path / split / "ant" / "000.JPEG")
    config = _config(tmp_path, decode=decode)
    data = build(config, recipe_config(4, flip=True, auto_augment=True))
    ((images, _),) = data.train.epoch(0, 4, image_px=24)
    assert images.shape == (4, 3, 24, 24)
    ((images, _),) = data.validation()
    assert images.shape == (4, 3, 24, 24)
    assert torch.isfinite(images).all()


@pytest.mark.parametrize("kind", ["photograph", *sorted(set(REAL) - {"4000 px"})])
def test_simplejpeg_gives_the_same_crops_within_two_levels(tmp_path: Path, kind: str) -> None:
    """Photographs and odd files, training and validation: two levels of 256 apart at most."""
    plant(tmp_path, train=2, val=2)
    for split in ("train", "val"):
        path = tmp_path / split / "ant" / "000.JPEG"
        if kind == "photograph":
            Image.fromarray(load_sample_images().images[0][:300, :400]).save(path, quality=90)
        else:
            REAL[kind](path)

    def levels(decode: str) -> Tensor:
        data = build(_config(tmp_path, decode=decode), recipe_config(4, flip=True))
        (train,), (val,) = data.train.epoch(0, 4, image_px=24), data.validation()
        return torch.cat([train[0], val[0]]) * 127.5

    difference = (levels("simplejpeg") - levels("pillow")).abs()
    assert difference.max() < 2.01
    assert difference.mean() < 0.3


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    """ImageNet's custom, which published accuracies share: the stored pixels count."""
    plant(tmp_path, val=1)
    path = tmp_path / "val" / "ant" / "000.JPEG"
    _exif(path)
    plain = tmp_path / "val" / "bee" / "000.JPEG"
    picture(1, 40, 20).save(plain, "JPEG")
    images, _ = next(build(_config(tmp_path)).validation())
    assert torch.equal(images[0], images[1])


def test_grey_images_have_three_equal_channels(tmp_path: Path) -> None:
    plant(tmp_path, val=1)
    REAL["grey"](tmp_path / "val" / "ant" / "000.JPEG")
    images, _ = next(build(_config(tmp_path)).validation())
    assert torch.equal(images[0, 0], images[0, 1])
    assert torch.equal(images[0, 0], images[0, 2])
    assert not torch.equal(images[1, 0], images[1, 1])
