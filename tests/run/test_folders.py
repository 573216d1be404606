"""Runs on class folders that are not ImageNet: trained, named what they are, and verified so."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from efficiency_bench import hydra_app
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.run.run import run
from efficiency_bench.verify import LedgerIndex, verify
from tests.commands import command
from tests.tiny import events_of

CLASSES = 20
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def planted(root: Path) -> Path:
    """Twenty classes of colours: 6 images each to train and 2 to validate with, one passed over."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for name in range(CLASSES):
            place = root / split / f"c{name:02}"
            place.mkdir(parents=True)
            colour = np.random.default_rng(name).integers(40, 216, 3)
            for i in range(count):
                pixels = (colour + draw.integers(-20, 20, (70, 70, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.JPEG")
    (root / "train" / "c00" / "6.jfif").write_bytes((root / "train/c00/0.JPEG").read_bytes())
    return root


def config(folder: Path, *arguments: str):
    (job,) = hydra_app.compose(
        [
            "experiment=shufflenet_v2_x1_0",
            f"data.root={folder / 'images'}",
            "data.image_px=64",
            "recipe.epochs=1",
            "recipe.batch_size=20",
            "device=cpu",
            "threads=1",
            "tracking.wandb=false",
            f"run_dir={folder / 'run'}",
            f"ledger_dir={folder / 'ledger'}",
            *arguments,
        ]
    )
    return job.config


@pytest.fixture(scope="module", params=["imagenet", "folder"])
def trained(request, tmp_path_factory) -> tuple[Path, Entry, list[str]]:
    """A run of twenty classes at 64 px, asked for under either name."""
    folder = tmp_path_factory.mktemp(request.param)
    planted(folder / "images")
    own = ["target=own"] if request.param == "imagenet" else []
    asked = config(folder, f"data={request.param}", *own, "target.value=0.9", "data.workers=0")
    told: list[str] = []
    entry = run(asked, tell=told.append).entry
    assert entry is not None
    return folder, entry, told


def test_it_is_a_folder_in_entry_log_and_name(trained: tuple[Path, Entry, list[str]]) -> None:
    folder, entry, told = trained
    start = events_of(folder / "run")[0]
    assert entry.data == start["data"] == "folder"
    assert entry.run_id.startswith("shufflenet_v2_x1_0-folder-s0-")
    assert entry.config["form"] == "imagenet"
    assert "allow_left_out" not in entry.config["data"]
    assert told == [
        f"{folder / 'images'}: 120 training images in 20 classes, 40 validation images in 20;"
        " skipped: 1 .jfif"
    ]
    assert "skipped in train: 1 .jfif" in start["notes"]


def test_it_verifies_with_its_data(trained: tuple[Path, Entry, list[str]]) -> None:
    folder, _, _ = trained
    (result,) = verify_ledger(str(folder / "ledger"), None, folder / "images")
    assert result.ok, result.failures
    assert not any(skipped.rule == "data" for skipped in result.skipped)


def test_what_was_left_out_with_leave_is_no_obstacle_to_verify(tmp_path: Path) -> None:
    """A quarter of a class was left out with leave, which the entry does not repeat."""
    images = planted(tmp_path / "images")
    shutil.copy(images / "train/c00/6.jfif", images / "train/c00/7.jfif")
    asked = ("data=folder", "target.value=0.9", "data.workers=0")
    with pytest.raises(UserError, match="train/c00: 2 of 8 images are left out"):
        run(config(tmp_path, *asked))
    assert run(config(tmp_path, *asked, "data.allow_left_out=true")).entry is not None
    (result,) = verify_ledger(str(tmp_path / "ledger"), None, images)
    assert result.ok, result.failures
    assert not any(skipped.rule == "data" for skipped in result.skipped)


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "called ImageNet": ({"data": "imagenet"}, "names: data"),
    "the published level": ({"target": {"source": "published"}}, "target: source"),
    "a level that guessing reaches": (
        {"target": {"value": 0.1}, "config": {"target": {"value": 0.1}}},
        "target: above chance",
    ),
    "another metric than these classes have": (
        {"target": {"metric": "top5"}},
        "target: metric",
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_verify_counts_the_target_again(trained: tuple[Path, Entry, list[str]], kind: str) -> None:
    folder, entry, _ = trained
    if (entry.config["data"]["name"], kind) == ("folder", "called ImageNet"):
        kind = "the published level"
    changes, rule = FORGED[kind]
    result = verify(folder / "ledger", _changed(entry, changes), LedgerIndex([entry]))
    assert rule in {failure.rule for failure in result.failures}


def _changed(entry: Entry, changes: dict[str, Any]) -> Entry:
    def merged(value: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return change
        return {**value, **{name: merged(value[name], part) for name, part in change.items()}}

    return Entry.model_validate(merged(entry.model_dump(mode="json"), changes))


def test_a_run_held_to_the_published_level_on_twenty_classes_fails(
    trained: tuple[Path, Entry, list[str]],
) -> None:
    """As such runs were written before: source, value, metric and configuration all agree."""
    folder, entry, _ = trained
    level = {"metric": "top5", "value": 0.791, "tolerance": 0.0005}
    forged = _changed(
        entry,
        {
            "data": "imagenet",
            "target": {**level, "source": "published"},
            "config": {"target": level, "data": {"name": "imagenet"}},
        },
    )
    result = verify(folder / "ledger", forged, LedgerIndex([forged]))
    rules = {failure.rule for failure in result.failures}
    ours = {"classes of the level", "validation images of the level"}
    assert {"names: data", *(f"target: {name}" for name in ours)} <= rules


def test_the_line_comes_before_the_refusal_and_workers_without_torchs_warning(
    tmp_path: Path,
) -> None:
    """Typed as a user does: the published level on twenty classes, then with what it says."""
    planted(tmp_path / "images")
    cores = len(os.sched_getaffinity(0))
    typed = (
        *("train", "experiment=shufflenet_v2_x1_0", "data=imagenet", "data.root=images"),
        *("data.image_px=64", "recipe.epochs=1", "recipe.batch_size=20", "device=cpu"),
        *("threads=1", "tracking.wandb=false", f"data.workers={cores + 3}"),
    )
    refused = command(*typed, cwd=tmp_path)
    assert refused.returncode == 2
    line, *rest = refused.stderr.splitlines()
    assert line.startswith("images: 120 training images in 20 classes, 40 validation images in 20")
    assert line.endswith("skipped: 1 .jfif")
    assert "images has 20 classes" in rest[0]
    assert "target=own" in rest[1]
    done = command(*typed, "target=own", "target.value=0.9", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"] == "folder"
    assert f"data.workers={cores + 3} is reduced to {cores}, the CPU cores" in done.stderr
    assert "UserWarning" not in done.stderr
    (entry,) = store.read(tmp_path / "runs/ledger").entries
    assert entry.target.source == "setting"
