"""Validation images that are also training images: found by content, bounded, reported."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from efficiency_bench.data import folder, train_val_overlap
from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap
from efficiency_bench.data.train_val_overlap import TrainValOverlap
from efficiency_bench.errors import UserError
from tests.data.photos import plant
from tests.data.settings import CIFAR10_NAMES, build, data_config


def _copied(root: Path, count: int) -> None:
    """``count`` training images of the second class once more, under other names, in the other."""
    for path in sorted((root / "train" / "bee").iterdir())[:count]:
        shutil.copy(path, root / "val" / "ant" / f"copy_{path.name}")


def _watched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that are opened from here on."""
    opened: list[Path] = []
    digest = train_val_overlap._digest

    def watched(path: Path, last: int | None) -> bytes:
        opened.append(path)
        return digest(path, last)

    monkeypatch.setattr(train_val_overlap, "_digest", watched)
    return opened


def _by_hand(root: Path) -> int:
    """Every file read whole."""
    train, val = (
        [hashlib.md5(path.read_bytes()).digest() for path in (root / split).glob("*/*")]
        for split in ("train", "val")
    )
    return sum(digest in set(train) for digest in val)


def test_copies_are_counted_and_reported(tmp_path: Path) -> None:
    _copied(plant(tmp_path, train=6, val=4), 3)
    splits = folder.load(tmp_path, None, None)
    assert train_val_overlap.compare_files(splits.train, splits.val) == TrainValOverlap(3, 11, 11)
    assert _by_hand(tmp_path) == 3
    notes = build(data_config("imagenet", 24, root=str(tmp_path))).notes
    assert "3 of 11 validation images are also training images" in notes


def test_files_of_equal_size_and_equal_tail_are_distinguished(tmp_path: Path) -> None:
    """Uncompressed: equal sizes, and ends that are equal in all but one file."""
    plant(tmp_path)
    for path in tmp_path.glob("*/*/*"):
        path.unlink()
    end = bytes(2 * train_val_overlap.TAIL_BYTES)
    for i, name in enumerate(("train/ant", "train/bee", "val/ant", "val/bee")):
        (tmp_path / name / "0.bmp").write_bytes(bytes([i]) + end)
    (tmp_path / "val" / "bee" / "1.bmp").write_bytes(bytes([0]) + end)
    splits = folder.load(tmp_path, None, None)
    assert train_val_overlap.compare_files(splits.train, splits.val) == TrainValOverlap(1, 3, 3)


def test_a_file_whose_size_occurs_in_one_set_only_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _copied(plant(tmp_path, train=6, val=4), 1)
    splits = folder.load(tmp_path, None, None)
    sizes = [set(part.sizes.tolist()) for part in (splits.train, splits.val)]
    opened = _watched(monkeypatch)
    assert train_val_overlap.compare_files(splits.train, splits.val).found == 1
    assert {path.stat().st_size for path in opened} <= sizes[0] & sizes[1]


@pytest.mark.parametrize("most", [4, 10, 30, 400])
def test_the_number_of_opened_files_is_bounded_and_the_rest_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Every validation image is a copy: however few are compared, all of those are found."""
    plant(tmp_path, train=30, val=2)
    shutil.rmtree(tmp_path / "val")
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    splits = folder.load(tmp_path, None, None)
    opened = _watched(monkeypatch)
    result = train_val_overlap.compare_files(splits.train, splits.val, most)
    assert 0 < len(set(opened)) <= most
    assert result.found == result.compared
    assert result.compared == 60 if most == 400 else 0 < result.compared <= most
    if most < 400:
        assert f"the other {60 - result.compared} were not compared" in result.notes[0]
    with pytest.raises(UserError, match="are also training images;"):
        result.check("here")


@pytest.mark.parametrize("name", ["imagenet", "folder"])
def test_a_validation_set_equal_to_the_training_set_is_rejected(tmp_path: Path, name: str) -> None:
    plant(tmp_path, train=3)
    shutil.rmtree(tmp_path / "val")
    (tmp_path / "val").symlink_to(tmp_path / "train")
    with pytest.raises(UserError, match="all 6 validation images that were compared"):
        build(data_config(name, 24, root=str(tmp_path)))
    with pytest.raises(UserError, match="all 6 validation images that were compared"):
        write_memmap(MemmapOptions(tmp_path, tmp_path / "out", 16, 0), lambda *progress: None)


def test_the_same_stored_file_for_both_sets_is_rejected(tmp_path: Path) -> None:
    source, out = plant(tmp_path / "source", train=3), tmp_path / "out"
    write_memmap(MemmapOptions(source, out, 16, 0), lambda *progress: None)
    shutil.copy(out / "train.npy", out / "val.npy")
    record = (out / "train.npy.json").read_text().replace("train.npy", "val.npy")
    (out / "val.npy.json").write_text(record)
    with pytest.raises(UserError, match=r"val.npy holds the same images as train\.npy"):
        build(data_config("imagenet_memory", 16, root=str(out)))


def _archive(root: Path, **batches: int) -> Path:
    """A CIFAR-10 archive whose batches are drawn from the seeds named."""
    place = root / "cifar-10-batches-py"
    place.mkdir(exist_ok=True)
    seeds = {f"data_batch_{i}": i for i in range(1, 6)} | {"test_batch": 9} | batches
    for name, seed in seeds.items():
        draw = np.random.default_rng(seed)
        pixels = draw.integers(0, 256, (6, 3072), dtype=np.uint8)
        content = {"labels": [0, 1, 2, 3, 4, 5], "data": pixels}
        (place / name).write_bytes(pickle.dumps(content, protocol=2))
    (place / "batches.meta").write_bytes(pickle.dumps({"label_names": CIFAR10_NAMES}, protocol=2))
    return root


@pytest.mark.parametrize(
    ("batches", "names"),
    [
        ({"data_batch_4": 2}, ("data_batch_4", "data_batch_2")),
        ({"test_batch": 3}, ("test_batch", "data_batch_3")),
    ],
)
def test_an_archive_with_one_batch_twice_is_named(
    tmp_path: Path, batches: dict[str, int], names: tuple[str, str]
) -> None:
    build(data_config("cifar10", 32, root=str(_archive(tmp_path))))
    with pytest.raises(
        UserError, match=f"{names[0]} holds the same images as {names[1]}"
    ) as refused:
        build(data_config("cifar10", 32, root=str(_archive(tmp_path, **batches))))
    assert "efficiency-bench data fetch cifar10" in str(refused.value)


def test_images_in_both_sets_are_counted(tmp_path: Path) -> None:
    images = torch.randint(256, (7, 3, 4, 4), dtype=torch.uint8)
    assert train_val_overlap.compare_pixels(images[:5], images[3:]) == TrainValOverlap(2, 4, 4)
    assert TrainValOverlap(2, 4, 4).notes == ("2 of 4 validation images are also training images",)
    assert TrainValOverlap(0, 4, 4).notes == ()


def test_cifar100_overlap_is_reported(cifar100_root: Path) -> None:
    """Counted again by sorting the pixels."""
    asked = data_config("cifar100", 32, root=str(cifar100_root))
    data = build(asked)
    train, val = (
        np.unique(images.reshape(len(images), -1), axis=0)
        for images in (data.train.images.numpy(), data.train.val_images.numpy())
    )
    together = np.unique(np.concatenate([train, val]), axis=0)
    same = len(train) + len(val) - len(together)
    said = [note for note in data.notes if "are also training images" in note]
    assert len(said) == (same > 0)
