"""FFCV files: what is in them is read as laid out, and what is damaged is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from efficiency_bench.data.ffcv import beton, splits
from efficiency_bench.data.stored_files import record_path
from efficiency_bench.errors import UserError
from tests.data.ffcv.betons import FRONT_BYTES, ROW_BYTES, lay_out, noise, plant_betons

IMAGES = 6


def test_what_was_laid_out_is_read(tmp_path: Path) -> None:
    pictures = noise(IMAGES)
    labels = [3, 0, 2, 1, 1, 5]
    for backwards in (False, True):
        stored = beton.read(lay_out(tmp_path / "a.beton", pictures, labels, backwards=backwards))
        assert stored.labels.tolist() == labels
        assert stored.widths.tolist() == [40, 41, 42, 43, 44, 45]
        assert stored.heights.tolist() == [30] * IMAGES
        assert stored.raw.all()
        file = stored.mapped()
        for begin, size, picture in zip(stored.begins, stored.sizes, pictures, strict=True):
            assert file[begin : begin + size].tobytes() == picture.tobytes()
    assert not beton.read(lay_out(tmp_path / "b.beton", pictures, labels, quality=90)).raw.any()


def test_the_content_digest_sees_images_and_labels_but_not_where_they_lie(tmp_path: Path) -> None:
    pictures, labels = noise(IMAGES), [0, 1] * 3

    def digest(*arguments: object, **settings: bool) -> str:
        return beton.read(lay_out(tmp_path / "a.beton", *arguments, **settings)).content_digest()

    first = digest(pictures, labels)
    assert digest(pictures, labels, backwards=True) == first
    assert digest(pictures, [1, 0] * 3) != first
    assert digest(pictures[::-1], labels) != first
    altered = [picture.copy() for picture in pictures]
    altered[3][0, 0, 0] ^= 1
    assert digest(altered, labels) != first
    told: list[int] = []
    beton.read(tmp_path / "a.beton").content_digest(told.append)
    assert told == [1, 2, 3, 4, 5, 6]


def _patched(offset: int, content: bytes) -> Callable[[bytes], bytes]:
    return lambda old: old[:offset] + content + old[offset + len(content) :]


def _row(image: int, offset: int, content: bytes) -> Callable[[bytes], bytes]:
    return _patched(FRONT_BYTES + image * ROW_BYTES + offset, content)


def _table(image: int, offset: int, content: bytes) -> Callable[[bytes], bytes]:
    def patch(old: bytes) -> bytes:
        start = len(old) - (IMAGES - image) * ROW_BYTES + offset
        return old[:start] + content + old[start + len(content) :]

    return patch


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda old: b"", "too short"),
    "a JPEG": (lambda old: b"\xff\xd8\xff\xe0" + old[4:], "not a .beton file"),
    "another version": (_patched(0, b"\x03"), "not a .beton file"),
    "other fields": (_patched(24, b"\x04"), "not a .beton file"),
    "another field's name": (_patched(25, b"photo"), "not a .beton file"),
    "never finished": (_patched(16, bytes(8)), "never finished"),
    "no images": (_patched(8, bytes(8)), "truncated"),
    "absurdly many images": (_patched(8, b"\xff" * 8), "truncated"),
    "cut in the images": (lambda old: old[: len(old) // 2], "truncated"),
    "without its table": (lambda old: old[: -IMAGES * ROW_BYTES], "truncated"),
    "half a table": (lambda old: old[: -IMAGES * ROW_BYTES // 2], "truncated"),
    "something appended": (lambda old: old + b"\0", "truncated"),
    "metadata zeroed": (_row(2, 0, bytes(ROW_BYTES)), "different offsets"),
    "an image elsewhere": (_row(2, 5, struct.pack("<Q", 2**63)), "different offsets"),
    "both elsewhere": (
        lambda old: _row(5, 5, struct.pack("<Q", 2**63))(
            _table(5, 8, struct.pack("<Q", 2**63))(old)
        ),
        "outside the file",
    ),
    "an image in the header": (
        lambda old: _row(0, 5, struct.pack("<Q", 8))(_table(0, 8, struct.pack("<Q", 8))(old)),
        "outside the file",
    ),
    "a size beyond the next image": (_table(1, 16, struct.pack("<Q", 10**6)), "overlap"),
    "a size that overflows": (_table(1, 16, b"\xff" * 8), "overlap"),
    "an unknown mode": (_row(1, 0, b"\x02"), "an image has the wrong size"),
    "a wider image": (_row(1, 1, b"\xff\xff"), "an image has the wrong size"),
    "no height": (_row(1, 3, b"\0\0"), "an image has the wrong size"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    file = lay_out(tmp_path / "train.beton", noise(IMAGES), [0, 1] * 3)
    change, reason = DAMAGES[damage]
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(UserError, match=reason) as refused:
        beton.read(file)
    assert "write it again: efficiency-bench data write-ffcv" in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 2


def test_two_images_in_one_place_are_refused(tmp_path: Path) -> None:
    same = [noise(1)[0]] * 2
    file = lay_out(tmp_path / "a.beton", same, [0, 1])
    begin = struct.pack("<Q", FRONT_BYTES + 2 * ROW_BYTES)
    old = file.read_bytes()
    old = _patched(FRONT_BYTES + ROW_BYTES + 5, begin)(old)
    file.write_bytes(_patched(len(old) - ROW_BYTES + 8, begin)(old))
    with pytest.raises(UserError, match="overlap"):
        beton.read(file)


def _edited(name: str, value: object) -> Callable[[Path], object]:
    def edit(root: Path) -> None:
        path = record_path(root / "train.beton")
        path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))

    return edit


def _altered(root: Path) -> None:
    file = root / "train.beton"
    content = bytearray(file.read_bytes())
    content[FRONT_BYTES + IMAGES * ROW_BYTES + 5] ^= 1
    file.write_bytes(content)


BESIDE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda root: (root / "val.beton").unlink(), "no .*val.beton; data.root=DIR"),
    "no record": (lambda root: record_path(root / "val.beton").unlink(), "was never finished"),
    "no JSON": (
        lambda root: record_path(root / "val.beton").write_text("{"),
        "is not a valid record",
    ),
    "an unknown key": (_edited("speed", 1), "is not a valid record"),
    "another file's record": (_edited("file", "val.beton"), "is the record of val.beton"),
    "another count": (_edited("images", 5), "does not match its record"),
    "another size": (_edited("bytes", 5), "does not match its record"),
    "a label without a class": (_edited("classes", ["ant"]), "does not match its record"),
    "other classes": (_edited("classes", ["ant", "wasp"]), "wasp"),
    "another source": (_edited("source_digest", "x"), "made from different folders"),
    "an altered pixel": (_altered, "has been changed since it was written"),
}


@pytest.mark.parametrize("damage", BESIDE)
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, damage: str) -> None:
    plant_betons(tmp_path, noise(IMAGES), noise(4))
    change, reason = BESIDE[damage]
    change(tmp_path)
    with pytest.raises(UserError, match=reason) as refused:
        splits.load(tmp_path, None, None)
    assert len(str(refused.value).splitlines()) <= 2


def test_what_was_checked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_betons(tmp_path, noise(IMAGES), noise(4))
    assert splits.load(tmp_path, None, None).notes == (
        "images stored as pixels, longer side up to 500 px",
        "the structure and content of the .beton files were checked",
    )
    monkeypatch.setattr(splits, "CONTENT_CHECKED_BYTES", 1000)
    _altered(tmp_path)
    assert (
        "not their content (0.0 GB): efficiency-bench data check-ffcv"
        in splits.load(tmp_path, None, None).notes[1]
    )
    with pytest.raises(UserError, match=r"train.beton has been changed"):
        splits.check_whole(tmp_path)


def test_a_subset_and_what_identifies_it(tmp_path: Path) -> None:
    plant_betons(tmp_path / "a", noise(8), noise(4))
    plant_betons(tmp_path / "b", noise(8), noise(4), backwards=True)
    plant_betons(tmp_path / "c", noise(8, seed=1), noise(4))
    whole = splits.load(tmp_path / "a", None, None)
    part = splits.load(tmp_path / "a", 4, 2)
    assert (np.bincount(part.train.labels).tolist(), len(part.val)) == ([2, 2], 2)
    assert splits.load(tmp_path / "b", None, None).digest == whole.digest
    others = [splits.load(tmp_path / "c", None, None), part]
    others += [splits.load(tmp_path / "a", 5, 2)]
    assert len({whole.digest, *(other.digest for other in others)}) == 4
