"""The measurement's part of CIFAR-10, cut from a whole set that holds its images in place.

The whole CIFAR-10 is not at hand: around the real 12,000 images the made-up ones are noise.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from efficiency_bench.data import cifar, cifar10_subset
from efficiency_bench.data.cifar10_subset import DIGEST, cut, indices
from efficiency_bench.data.image_set import DataSplits
from efficiency_bench.errors import UserError
from tests.ledger.recorded import LEDGER

FOLDER = cifar.CIFAR10.source.folder


@pytest.fixture(scope="module")
def part(cifar10_root: Path) -> DataSplits:
    return cifar.load("cifar10", cifar10_root, download=False)


@pytest.fixture(scope="module")
def whole(part: DataSplits, cifar10_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10's layout and size; the places of the original names hold the original images."""
    root = tmp_path_factory.mktemp("whole")
    (root / FOLDER).mkdir()
    draw = np.random.default_rng(0)
    names = [*cifar.CIFAR10.train_files, cifar.CIFAR10.test_file]
    pixels = {name: draw.integers(0, 256, (10_000, 3072), dtype=np.uint8) for name in names}
    labels = {name: draw.integers(0, 10, 10_000).tolist() for name in names}
    for name in names:
        file = pickle.loads((cifar10_root / FOLDER / name).read_bytes(), encoding="latin1")
        for row, label, original in zip(
            file["data"], file["labels"], file["filenames"], strict=True
        ):
            split, place = original.removesuffix(".png").split("_")
            number, within = divmod(int(place), 10_000)
            there = names[number] if split == "train" else names[-1]
            pixels[there][within], labels[there][within] = row, label
    for name in names:
        content = {"data": pixels[name], "labels": labels[name]}
        (root / FOLDER / name).write_bytes(pickle.dumps(content))
    meta = {"label_names": list(part.train.classes)}
    (root / FOLDER / "batches.meta").write_bytes(pickle.dumps(meta))
    return root


def test_the_subset_has_the_images_of_the_recorded_runs(
    whole: Path, part: DataSplits, tmp_path: Path
) -> None:
    assert cut(whole, tmp_path) == tmp_path / FOLDER
    again = cifar.load("cifar10", tmp_path, download=False)
    assert again.digest() == part.digest() == DIGEST


def test_the_recorded_runs_of_cifar10_are_of_this_part() -> None:
    entries = [json.loads(file.read_text()) for file in LEDGER.glob("*.json")]
    assert {(entry["data"], entry["data_digest"]) for entry in entries} == {("cifar10", DIGEST)}


def test_the_indices_are_distinct_and_within_the_set() -> None:
    for split, count, images in (("train", 10_000, 50_000), ("test", 2_000, 10_000)):
        found = indices(split)
        assert len(found) == len(set(found)) == count
        assert 0 <= min(found) <= max(found) < images


def test_an_incomplete_or_different_set_is_rejected(
    whole: Path, cifar10_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"(?s)10,000 \+ 2,000 images.*data fetch cifar10"):
        cut(cifar10_root, tmp_path / "out")
    moved = indices("test")[::-1]
    monkeypatch.setattr(cifar10_subset, "indices", lambda split: moved)
    with pytest.raises(UserError, match="not those measured here"):
        cut(whole, tmp_path / "out")
    assert not (tmp_path / "out").exists()
