"""Skipped files: counted, reported before training, and an error if there are too many."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from efficiency_bench.data import folder
from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap
from efficiency_bench.data.stored_files import record_path
from efficiency_bench.errors import UserError
from tests.commands import command
from tests.data.photos import picture, plant
from tests.data.settings import build, data_config


def _told(root: Path, **options: bool) -> tuple[str, str]:
    """The line on what is there, and the refusal that came after it."""
    lines: list[str] = []
    refusal = ""
    try:
        folder.load(root, None, None, tell=lines.append, **options)
    except UserError as error:
        refusal = str(error)
    (line,) = lines
    assert len(refusal.splitlines()) <= 2
    return line, refusal


def test_skipped_files_are_reported_in_one_line(tmp_path: Path) -> None:
    line, refusal = _told(plant(tmp_path, train=5, val=3))
    assert line == (
        f"{tmp_path}: 10 training images in 2 classes, 6 validation images in 2; skipped: nothing"
    )
    assert refusal == ""


def _renamed(count: int) -> Callable[[Path], None]:
    def rename(root: Path) -> None:
        for path in sorted((root / "train" / "bee").iterdir())[:count]:
            path.rename(path.with_suffix(".jfif"))

    return rename


def _moved_deeper(root: Path) -> None:
    deeper = root / "train" / "bee" / "more" / "still"
    deeper.mkdir(parents=True)
    for path in sorted((root / "train" / "bee").glob("*.JPEG"))[:4]:
        path.rename(deeper / path.name)


def _beside(root: Path) -> None:
    for i in range(4):
        picture(900 + i).save(root / "val" / f"{i}.JPEG")


def _half_copied(root: Path) -> None:
    for path in sorted((root / "train" / "bee").iterdir())[:4]:
        path.rename(path.with_name(f".{path.name}.Xy9q"))


LEFT_OUT: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "an unknown suffix": (_renamed(11), "11 .jfif", "train/bee: 11 of 12 images"),
    "all of a class": (_renamed(12), "12 .jfif", "train/bee has no images .* 12 other files"),
    "nested": (_moved_deeper, "4 nested", "train/bee: 4 of 12 images"),
    "beside the classes": (_beside, "4 outside the class folders", "val: 4 of 28 images"),
    "an unfinished copy": (_half_copied, "4 hidden", "train/bee: 4 of 12 images"),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_too_many_skipped_files_are_reported_and_then_an_error(tmp_path: Path, kind: str) -> None:
    change, reason, refused = LEFT_OUT[kind]
    plant(tmp_path, train=12, val=12)
    change(tmp_path)
    line, refusal = _told(tmp_path)
    assert f"skipped: {reason}" in line
    with pytest.raises(UserError, match=refused):
        folder.load(tmp_path, None, None)
    if kind != "all of a class":
        assert "data.allow_left_out=true" in refusal
        assert _told(tmp_path, allow_left_out=True) == (line, "")


@pytest.mark.parametrize(
    ("train", "renamed", "refused"),
    [(10, 2, False), (10, 3, True), (40, 4, False), (40, 5, True)],
)
def test_a_fifth_of_a_class_and_a_twentieth_of_a_set(
    tmp_path: Path, train: int, renamed: int, refused: bool
) -> None:
    """Ten a class in five classes: 2 of 10 and of 50; forty in two: 4 of 40 and of 80."""
    classes = ("ant", "bee", "cat", "dog", "elk") if train == 10 else ("ant", "bee")
    _renamed(renamed)(plant(tmp_path, train=train, val=2, classes=classes))
    assert bool(_told(tmp_path)[1]) == refused


def test_a_training_run_reports_skipped_files(tmp_path: Path) -> None:
    _renamed(11)(plant(tmp_path, train=12, val=3))
    asked = data_config("imagenet", 24, root=str(tmp_path), allow_left_out=True)
    assert "skipped in train: 11 .jfif" in build(asked).notes


def test_macos_metadata_files_are_named_and_skipped(tmp_path: Path) -> None:
    """``._x.JPEG`` is no image, and was opened in the middle of training before."""
    plant(tmp_path, train=3, val=3)
    digest = folder.load(tmp_path, None, None).digest()
    for path in list(tmp_path.glob("*/*/*.JPEG")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (tmp_path / "train" / "ant" / "Thumbs.db").write_text("a thumbnail")
    (tmp_path / "train" / "labels.txt").write_text("ant")
    (tmp_path / "val" / ".DS_Store").write_text("a window")
    line, refusal = _told(tmp_path)
    assert line.endswith("skipped: 13 hidden, 1 .db, 1 outside the class folders")
    assert refusal == ""
    assert folder.load(tmp_path, None, None).digest() == digest
    images = build(data_config("imagenet", 24, root=str(tmp_path))).train.epoch(0, 4, image_px=24)
    assert sum(len(labels) for _, labels in images) == 6


def test_the_line_gives_how_many_images_of_a_folder_the_run_uses(tmp_path: Path) -> None:
    plant(tmp_path, train=5, val=3)
    lines: list[str] = []
    folder.load(tmp_path, 6, 4, tell=lines.append)
    (line,) = lines
    assert "6 of 10 training images in 2 classes, 4 of 6 for validation;" in line


def test_a_suffix_is_untrusted_text(tmp_path: Path) -> None:
    plant(tmp_path, train=30)
    (tmp_path / "train" / "ant" / "a.\x1b[31mred").write_text("")
    (tmp_path / "train" / "ant" / f"a.{'x' * 200}").write_text("")
    line, _ = _told(tmp_path)
    assert "\x1b" not in line
    assert "x" * 20 not in line


NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def test_classes_that_differ_by_their_unicode_form_only(tmp_path: Path) -> None:
    plant(tmp_path, classes=(NFC, "tea"))
    (tmp_path / "val" / NFC).rename(tmp_path / "val" / NFD)
    line, refusal = _told(tmp_path)
    assert "8 training images in 2 classes" in line
    assert r"1 in their Unicode form only: 'caf\xe9' in training is 'cafe\u0301'" in refusal
    (tmp_path / "train" / NFD).mkdir()
    picture(7).save(tmp_path / "train" / NFD / "0.JPEG")
    assert "the same name in two Unicode forms" in _told(tmp_path)[1]


def test_a_single_class_is_rejected(tmp_path: Path) -> None:
    line, refusal = _told(plant(tmp_path, classes=("ant",)))
    assert "in 1 class," in line
    assert "1 class (ant), but a classifier needs two or more" in refusal


def test_a_writer_applies_the_same_limits_and_records_skipped_files(tmp_path: Path) -> None:
    source, out = plant(tmp_path / "source", train=12, val=12), tmp_path / "out"
    _renamed(11)(source)
    words = ("data", "write-memory", str(source), str(out), "--side-px", "16", "--workers", "1")
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.index("skipped: 11 .jfif") < done.stderr.index("are left out")
    done = command(*words, "--allow-left-out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    notes = build(data_config("imagenet_memory", 16, root=str(out))).notes
    assert "skipped in the source of train.npy: 11 .jfif" in notes


def test_older_files_report_that_no_overlap_was_checked(tmp_path: Path) -> None:
    source, out = plant(tmp_path / "source"), tmp_path / "out"
    write_memmap(MemmapOptions(source, out, 16, 0), lambda *progress: None)
    asked = data_config("imagenet_memory", 16, root=str(out))
    wanted = "val.npy was not checked for images that are also training images"
    assert wanted not in build(asked).notes
    for split in ("train", "val"):
        path = record_path(out / f"{split}.npy")
        record = json.loads(path.read_text())
        assert record.pop("passed_over") == {}
        assert record.pop("in_both") == {"train": None, "val": 0}[split]
        path.write_text(json.dumps(record))
    assert wanted in build(asked).notes
