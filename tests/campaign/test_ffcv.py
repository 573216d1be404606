"""A run on FFCV files: left and taken up again it ends the same, and its ledger verifies."""

import numpy as np
import pytest

from efficiency_bench.campaign.run import run
from efficiency_bench.campaign.verification import verify_ledger
from tests.campaign.test_resume import StopAt, comparable
from tests.campaign.tiny import composed, events_of
from tests.data.betons import needs_ffcv, plant_betons

pytestmark = needs_ffcv


@pytest.fixture(scope="module")
def betons(tmp_path_factory):
    """Dark and light pictures of odd sizes, stored as JPEGs."""
    generator = np.random.default_rng(0)

    def pictures(count):
        for i in range(count):
            light = 128 * (2 * i >= count)
            yield generator.integers(light, light + 128, (40, 40 + i % 7, 3), dtype=np.uint8)

    folder = tmp_path_factory.mktemp("betons")
    return plant_betons(folder, list(pictures(81)), list(pictures(30)), quality=90)


def config(folder, betons, *options):
    return composed(
        "model=alexnet",
        "recipe=small_plain",
        "data=imagenet_ffcv",
        "form=small",
        f"data.root={betons}",
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


def test_left_and_taken_up_again_it_ends_the_same(betons, tmp_path):
    """With a remainder of one in each epoch, and another number of threads."""
    undisturbed = run(config(tmp_path / "a", betons)).entry
    assert undisturbed.reached, "dark and light are easily told apart"
    epochs, steps = divmod(undisturbed.steps, 5)  # of 16 images, the last of an epoch of 17
    assert undisturbed.images == 81 * epochs + 16 * steps
    again = config(tmp_path / "b", betons, "data.workers=1")
    assert run(again, stop_requested=StopAt(4)).exit_code == 75
    assert comparable(run(again).entry) == comparable(undisturbed)
    notes = events_of(tmp_path / "b" / "run")[0]["notes"]
    assert "images stored as JPEG of quality 90, longer side up to 500 px" in notes
    (verified,) = verify_ledger(str(tmp_path / "b/ledger"), None, betons)
    assert verified.ok, verified.failures
    assert not any(skipped.rule == "data" for skipped in verified.skipped)
