"""A run on stored photographs: a resumed run ends like an undisturbed one, and verifies."""

import numpy as np
import pytest
from PIL import Image

from efficiency_bench.data.memmap_images import MemmapOptions, write_memmap
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.run.run import run
from tests.data.ffcv.betons import needs_ffcv, plant_betons
from tests.run.factory import StopAt
from tests.tiny import composed, events_of

TRAIN, VAL = 81, 30


def pictures(count):
    """Dark and light images of odd sizes."""
    generator = np.random.default_rng(count)
    for i in range(count):
        light = 128 * (2 * i >= count)
        yield generator.integers(light, light + 128, (40, 40 + i % 7, 3), dtype=np.uint8)


def as_betons(folder):
    """FFCV files that store JPEGs."""
    return plant_betons(folder, list(pictures(TRAIN)), list(pictures(VAL)), quality=90)


def as_memmap(folder):
    """Square pixel arrays made from image folders."""
    for split, count in (("train", TRAIN), ("val", VAL)):
        for i, pixels in enumerate(pictures(count)):
            place = folder / "source" / split / ("light" if 2 * i >= count else "dark")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{i:02}.png")
    write_memmap(
        MemmapOptions(folder / "source", folder / "squares", 40, 0), lambda *progress: None
    )
    return folder / "squares"


STORED = {
    "imagenet_ffcv": (as_betons, "images stored as JPEG of quality 90, longer side up to 500 px"),
    "imagenet_memory": (as_memmap, "images stored as squares of 40 px, training and validation"),
}


def config(folder, name, root, *options):
    return composed(
        "model=alexnet",
        "recipe=small_plain",
        f"data={name}",
        "form=small",
        f"data.root={root}",
        "data.image_px=32",
        "data.resize_px=36",
        "recipe.batch_size=16",
        "recipe.epochs=4",
        "target.value=1.0",
        "target.metric=top1",
        "device=cpu",
        "threads=1",
        "tracking.wandb=false",
        f"run_dir={folder / 'run'}",
        f"ledger_dir={folder / 'ledger'}",
        *options,
    )


@pytest.mark.parametrize(
    "name", [pytest.param("imagenet_ffcv", marks=needs_ffcv), "imagenet_memory"]
)
def test_a_resumed_run_ends_as_an_undisturbed_one(name, tmp_path):
    """Each epoch has a remainder of one image; the resumed run has another number of workers."""
    store, note = STORED[name]
    root = store(tmp_path)
    undisturbed = run(config(tmp_path / "a", name, root)).entry
    assert undisturbed.reached, "dark and light images are easy to distinguish"
    # an epoch has five batches: four of 16 images and a last one of 17
    epochs, steps = divmod(undisturbed.steps, 5)
    assert undisturbed.images == 81 * epochs + 16 * steps
    again = config(tmp_path / "b", name, root, "data.workers=1")
    assert run(again, stop_requested=StopAt(4)).exit_code == 75
    assert not differences(run(again).entry, undisturbed)
    assert note in events_of(tmp_path / "b" / "run")[0]["notes"]
    (verified,) = verify_ledger(str(tmp_path / "b/ledger"), None, root)
    assert verified.ok, verified.failures
    assert not any(skipped.rule == "data" for skipped in verified.skipped)
