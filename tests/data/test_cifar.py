"""CIFAR archives: whole or reduced ones are read; nothing in them is executed."""

from __future__ import annotations

import os
import pickle
import re
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from efficiency_bench.data import cifar, restricted_pickle
from efficiency_bench.errors import UserError
from tests.data.settings import CIFAR10_NAMES, build, data_config, recipe_config


def _batch(images: int, seed: int, label_key: str = "labels", classes: int = 10) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "batch_label": "made up",
        label_key: random.integers(0, classes, images).tolist(),
        "data": random.integers(0, 256, (images, 3072), dtype=np.uint8),
        "filenames": [f"{i}.png" for i in range(images)],
    }


def _dump(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A CIFAR-10 archive of 5 x 6 training and 8 test images."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(1, 6):
        _dump(folder / f"data_batch_{i}", _batch(6, seed=i))
    _dump(folder / "test_batch", _batch(8, seed=9))
    _dump(folder / "batches.meta", {"label_names": CIFAR10_NAMES, "num_vis": 3072})
    return tmp_path


def _refused(root: Path, message: str, download: bool = False) -> str:
    with pytest.raises(UserError, match=message) as refusal:
        cifar.load("cifar10", root, download)
    assert len(str(refusal.value).splitlines()) <= 2
    return str(refusal.value)


def test_planes_labels_and_order(root: Path) -> None:
    splits = cifar.load("cifar10", root, download=False)
    assert splits.train.images.shape == (30, 3, 32, 32)
    assert splits.val.images.shape == (8, 3, 32, 32)
    second = _batch(6, seed=2)
    # byte 1024 c + 32 y + x of a row is channel c at (y, x)
    row = second["data"][4]
    for channel, y, x in ((0, 0, 0), (1, 5, 7), (2, 31, 31)):
        assert splits.train.images[6 + 4, channel, y, x] == row[1024 * channel + 32 * y + x]
    assert splits.train.labels[6:12].tolist() == second["labels"]
    assert splits.train.classes == tuple(CIFAR10_NAMES)


def test_the_cifar10_subset_of_the_tests(cifar10_root: Path) -> None:
    data = build(data_config("cifar10", 32, root=str(cifar10_root)), recipe_config(128))
    assert (data.train_images, data.val_images, data.classes) == (
        10_000,
        2_000,
        tuple(CIFAR10_NAMES),
    )
    assert data.steps_per_epoch(128) == 79
    images, labels = next(data.train.epoch(0, 128, image_px=32))
    assert images.shape == (128, 3, 32, 32)
    assert images.abs().max() <= 1
    counts = torch.zeros(10, dtype=torch.int64)
    pixels = torch.zeros(3, dtype=torch.float64)
    for images, labels in data.train.epoch(0, 500, image_px=32):
        counts += torch.bincount(labels, minlength=10)
        pixels += images.double().mean(dim=(2, 3)).sum(dim=0)
    assert counts.tolist() == [1000] * 10
    # mean of its training pixels, as its maker states it to four decimals
    mean = (pixels / 10_000 + 1) / 2
    assert mean.tolist() == pytest.approx([0.4910, 0.4818, 0.4461], abs=6e-5)
    val = torch.cat([labels for _, labels in data.validation()])
    assert torch.bincount(val).tolist() == [200] * 10


def test_the_cifar100_subset_of_the_tests(cifar100_root: Path) -> None:
    data = build(data_config("cifar100", 32, root=str(cifar100_root)), recipe_config(128))
    assert (data.train_images, data.val_images, len(data.classes)) == (20_000, 4_000, 100)
    assert data.classes[0] == "apple"
    assert data.classes[99] == "worm"
    val = torch.cat([labels for _, labels in data.validation()])
    assert torch.bincount(val).tolist() == [40] * 100


def test_a_balanced_part_of_the_subset(cifar10_root: Path) -> None:
    settings = {"root": str(cifar10_root), "train_images": 1000, "val_images": 500}
    data = build(data_config("cifar10", 32, **settings))
    labels = torch.cat([labels for _, labels in data.train.epoch(0, 100, image_px=32)])
    assert torch.bincount(labels).tolist() == [100] * 10
    assert data.val_images == 500


def test_a_missing_folder(tmp_path: Path) -> None:
    message = _refused(tmp_path, "no cifar-10-batches-py in")
    assert "data.root=DIR" in message


def test_another_archive_in_the_root(root: Path) -> None:
    with pytest.raises(UserError, match="no cifar-100-python in"):
        cifar.load("cifar100", root, download=False)


def test_another_archives_file_in_the_folder(root: Path) -> None:
    path = root / "cifar-10-batches-py" / "data_batch_3"
    _dump(path, _batch(6, seed=3, label_key="fine_labels", classes=100))
    _refused(root, f"{re.escape(str(path))} is not a file of CIFAR-10's Python archive.*'labels'")


@pytest.mark.parametrize("name", ["data_batch_4", "test_batch", "batches.meta"])
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    path = root / "cifar-10-batches-py" / name
    path.unlink()
    _refused(root, f"{re.escape(str(path))} is missing")


@pytest.mark.parametrize("name", ["data_batch_4", "test_batch", "batches.meta"])
@pytest.mark.parametrize("kept", [0, 1, 40, -7])
def test_a_truncated_file_is_named(root: Path, name: str, kept: int) -> None:
    path = root / "cifar-10-batches-py" / name
    path.write_bytes(path.read_bytes()[:kept])
    _refused(root, f"{re.escape(str(path))} is damaged or not a pickle")


def test_the_binary_version_is_rejected(root: Path) -> None:
    path = root / "cifar-10-batches-py" / "data_batch_1"
    path.write_bytes(bytes(range(256)) * 100)
    _refused(root, re.escape(str(path)))


def _without_data(batch: dict[str, Any]) -> object:
    return {key: value for key, value in batch.items() if key != "data"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_data, "it has no 'data'"),
        (lambda b: b | {"data": b["data"][:, :-1]}, "not an array of 3072 bytes per image"),
        # refused by the reader itself, which makes arrays of bytes and no others
        (lambda b: b | {"data": b["data"].astype(np.float32)}, r"names numpy\.dtype\('f4'\)"),
        (lambda b: b | {"data": b["data"].tolist()}, "not an array of 3072 bytes"),
        (lambda b: b | {"labels": b["labels"][:-1]}, "6 images have 5 labels"),
        (lambda b: b | {"labels": [0, 1, 2, 3, 4, 10]}, "label 10 is outside 0 to 9"),
        (lambda b: b | {"labels": [0, 1, 2, 3, 4, -1]}, "label -1 is outside 0 to 9"),
        (lambda b: b | {"labels": ["0"] * 6}, "labels is not a list of integers"),
        (lambda b: [b], "contains a list"),
    ],
)
def test_a_file_with_other_content_is_rejected(root: Path, damage: Any, message: str) -> None:
    path = root / "cifar-10-batches-py" / "data_batch_2"
    _dump(path, damage(_batch(6, seed=2)))
    assert str(path) in _refused(root, message)


class _Attack:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_rejected_and_not_run(root: Path, protocol: int) -> None:
    trace = root / "executed"
    attack = _Attack(os.system, f"touch {trace}")
    path = root / "cifar-10-batches-py" / "data_batch_1"
    path.write_bytes(pickle.dumps({**_batch(6, seed=1), "labels": attack}, protocol))
    message = _refused(root, r"names (posix|nt|os)\.system.*no code was run")
    assert str(path) in message
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # the same file does run where nobody looks
    assert trace.exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1 + 1",)),
        (getattr, ("", "join")),
        (np.load, ("nothing.npy",)),
        (np.memmap, ("/dev/null",)),
        (pickle.loads, (b"",)),
    ],
)
def test_other_functions_are_rejected_too(
    tmp_path: Path, function: Any, arguments: tuple[object, ...]
) -> None:
    path = tmp_path / "pickle"
    _dump(path, {"data": _Attack(function, *arguments)})
    with pytest.raises(UserError, match="no code was run"):
        restricted_pickle.load(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("core", [b"numpy._core.", b"numpy.core."])
def test_arrays_of_either_numpy_in_every_protocol(
    tmp_path: Path, protocol: int, core: bytes
) -> None:
    """A subset may have been written by any of them; numpy 2 moved the functions it names."""
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    written = pickle.dumps({"data": array}, protocol)
    if protocol < 4:  # later ones state the names' lengths, so they are left as they are
        written = re.sub(rb"numpy\._?core\.", core, written)
    path = tmp_path / "pickle"
    path.write_bytes(written)
    assert np.array_equal(restricted_pickle.load(path)["data"], array)


def test_bytes_in_another_encoding_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "pickle"
    path.write_bytes(b"\x80\x02}U\x01dc_codecs\nencode\nU\x01aU\x05rot13\x86Rs.")
    with pytest.raises(UserError, match="the encoding 'rot13'"):
        restricted_pickle.load(path)


@pytest.mark.parametrize("shape", [b"K\x02K\x04\x86", b"J\xff\xff\xff\xffK\xfa\x86", b"K\x06\x85"])
def test_a_shape_that_does_not_match_its_bytes_is_rejected(tmp_path: Path, shape: bytes) -> None:
    """Six bytes as 2 x 4, as -1 x 250; as six they are read."""
    path = tmp_path / "pickle"
    path.write_bytes(
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01" + shape + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x01\x02\x03\xfd\xfe\xfftbs."
    )
    if shape == b"K\x06\x85":
        assert restricted_pickle.load(path)["data"].tolist() == [1, 2, 3, 253, 254, 255]
        return
    with pytest.raises(UserError, match="is damaged or not a pickle: an array of shape"):
        restricted_pickle.load(path)


def test_arrays_stored_by_columns_are_read_by_rows(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    path = tmp_path / "pickle"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"data": array}, protocol))
        assert np.array_equal(restricted_pickle.load(path)["data"], array)


def test_a_pipe_or_a_link_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name, reason in (("pipe", "not a regular file"), ("link", "is a link")):
        with pytest.raises(UserError, match=f"cannot read .*{reason}"):
            restricted_pickle.load(tmp_path / name)


def test_a_huge_memo_index_is_rejected(tmp_path: Path) -> None:
    """The unpickler makes room for every place before: 2^31 of them are 32 GB."""
    path = tmp_path / "pickle"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    with pytest.raises(UserError, match="memo index 2147483647 after 1 entries"):
        restricted_pickle.load(path)


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    """The original archives' own layout, byte by byte: short strings, dtype('u1', 0, 1)."""
    path = tmp_path / "pickle"
    path.write_bytes(
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x01\x02\x03\xfd\xfe\xfftbs."
    )
    data = restricted_pickle.load(path)["data"]
    assert data.dtype == np.uint8
    assert data.tolist() == [[1, 2, 3], [253, 254, 255]]


def test_an_unreadable_file(root: Path) -> None:
    path = root / "cifar-10-batches-py" / "data_batch_1"
    path.unlink()
    path.mkdir()
    _refused(root, f"cannot read {re.escape(str(path))}")


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_address_and_checksum_are_those_of_torchvision(name: str) -> None:
    theirs = getattr(torchvision.datasets, name)
    ours = cifar.ARCHIVES[name.lower()].source
    assert (ours.url, ours.md5, ours.folder) == (theirs.url, theirs.tgz_md5, theirs.base_folder)


def test_a_missing_folder_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    message = _refused(tmp_path, "no cifar-10-batches-py in")
    assert f"efficiency-bench data fetch cifar10 --root {tmp_path}" in message
    assert "data.root=DIR" in message


def test_a_folder_in_place_is_never_downloaded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("asked for a download")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    cifar.load("cifar10", root, download=True)
