"""One run from config to entry, with each number checked against a recount made here."""

import json
from pathlib import Path

import pytest
import torch

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.run.run import run
from efficiency_bench.training.evaluation import evaluate
from tests.once import own_copy
from tests.tiny import events_of, tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A ledger with AlexNet's measured level on 700 digits, trained for twelve epochs."""
    return own_copy(tmp_path_factory, "alexnet_level", lambda folder: run(baseline(folder)))


def baseline(folder: Path):
    options = ("experiment=alexnet", "recipe.epochs=12", "recipe.batch_size=16")
    return tiny(folder, *options, "data.train_images=700", f"run_dir={folder / 'alexnet'}")


def entry_of(folder: Path, experiment: str):
    (entry,) = [e for e in store.read(folder / "ledger").entries if e.experiment == experiment]
    return entry


def test_a_baseline_sets_the_target_by_its_final_evaluation(folder):
    entry = entry_of(folder, "alexnet")
    assert entry.end_reason == "schedule"
    assert entry.reached
    assert entry.target.source == "own_schedule"
    assert entry.target.value == entry.evaluations[-1].top1
    assert entry.paper3x_to_target_tfs_days == entry.paper3x_tfs_days


def test_steps_images_and_compute_equal_a_recount(folder):
    entry = entry_of(folder, "alexnet")
    steps = 12 * 44  # 700 images in batches of 16: 43 full batches and one of 12
    assert (entry.steps, entry.images, entry.epochs) == (steps, 8400, 12.0)
    # the small AlexNet at 16 px, layer by layer (models/alexnet.py): counted by hand
    convolutions = hand_counted_alexnet_macs()
    assert entry.forward_macs == pytest.approx(convolutions, rel=1e-12)
    assert entry.paper3x_tfs_days == pytest.approx(8400 * 3 * convolutions / 8.64e16)


def hand_counted_alexnet_macs() -> int:
    """Sum of output elements times filter size; a network is built only to read its shapes."""
    from efficiency_bench.models import build_model

    model = build_model("alexnet", form="small", num_classes=10, image_px=16)
    macs = 0

    def add(module, inputs, output):
        nonlocal macs
        macs += output[0].numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(add)
    model.eval()(torch.zeros(1, 3, 16, 16))
    return macs


def test_every_validation_image_is_counted_once(folder):
    assert {e.val_images for e in entry_of(folder, "alexnet").evaluations} == {100}


def test_another_network_stops_at_the_baselines_level(folder):
    options = ("experiment=resnet18", "data.train_images=700", f"run_dir={folder / 'resnet18'}")
    outcome = run(tiny(folder, *options))
    entry, level = outcome.entry, entry_of(folder, "alexnet")
    assert outcome.exit_code == 0
    assert entry.target.source == "baseline"
    assert entry.target.baseline_run_ids == (level.run_id,)
    assert entry.target.value == level.target.value
    assert entry.end_reason == "target"
    holding = [e.top1 >= entry.target.value - 1e-9 for e in entry.evaluations]
    assert holding[-3:] == [True, True, True], "the crossing and two confirmations"
    assert [True, True, True] not in [holding[i : i + 3] for i in range(len(holding) - 3)]
    before, at = entry.evaluations[-4], entry.evaluations[-3]
    assert before.images < entry.sustained_crossing_images <= at.images
    assert entry.paper3x_to_target_tfs_days < entry.paper3x_tfs_days


def test_the_event_log_holds_what_the_entry_says(folder):
    entry = entry_of(folder, "alexnet")
    events = events_of(folder / "alexnet")
    kinds = [event["event"] for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    evaluations = [event["top1"] for event in events if event["event"] == "evaluation"]
    assert evaluations == [e.top1 for e in entry.evaluations]
    assert events[-1]["weights_digest"] == entry.weights_digest
    seconds = [event["train_seconds"] for event in events if "train_seconds" in event]
    assert seconds == sorted(seconds)


def test_a_finished_run_returns_its_entry_and_adds_none(folder):
    before = sorted((folder / "ledger").iterdir())
    outcome = run(baseline(folder))
    assert outcome.already_finished
    assert outcome.entry == entry_of(folder, "alexnet")
    assert sorted((folder / "ledger").iterdir()) == before


def test_the_folder_of_a_finished_run_rejects_another_run(folder):
    other = tiny(folder, "experiment=alexnet", f"run_dir={folder / 'alexnet'}")
    with pytest.raises(UserError, match="another configuration"):
        run(other)


def test_an_entry_missing_from_the_ledger_is_restored_by_the_same_command(folder, tmp_path):
    config = baseline(folder)
    config.ledger_dir = str(tmp_path / "another")
    run(config)
    assert len(store.read(tmp_path / "another").entries) == 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_different_ones(tmp_path):
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        options = ("experiment=shufflenet_v2_x1_0", "recipe.epochs=0.5", "target.value=1.0")
        place = tmp_path / name
        outcome = run(tiny(place, *options, f"seed={seed}", f"run_dir={place}"))
        digests.append(outcome.entry.weights_digest)
    assert digests[0] == digests[1] != digests[2]


def test_an_entry_records_that_its_target_was_not_reached(tmp_path):
    options = ("experiment=vgg11", "recipe.epochs=0.5", "target.value=1.0")
    outcome = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}"))
    assert outcome.exit_code == 0
    assert outcome.entry.end_reason == "schedule"
    assert not outcome.entry.reached
    assert outcome.entry.paper3x_to_target_tfs_days is None


def test_a_non_finite_loss_ends_the_run_with_an_entry(tmp_path):
    options = ("experiment=vgg11", "recipe.optimizer.lr=1e9", "target.value=0.9")
    outcome = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}"))
    assert outcome.exit_code == 1
    assert outcome.entry.end_reason == "diverged"
    assert not outcome.entry.reached
    assert store.read(tmp_path / "ledger").entries == (outcome.entry,)


def test_a_fault_becomes_a_failed_entry_with_its_reason(tmp_path, monkeypatch):
    calls = []

    def broken(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("the device fell off")
        return evaluate(*arguments)

    monkeypatch.setattr("efficiency_bench.training.trainer.evaluate", broken)
    options = ("experiment=shufflenet_v2_x1_0", "target.value=1.0")
    outcome = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}"))
    assert outcome.exit_code == 1
    assert outcome.entry.end_reason == "failed"
    assert "the device fell off" in outcome.entry.end_detail
    (evaluation,) = outcome.entry.evaluations
    assert outcome.entry.clocks.evaluation_seconds == evaluation.evaluation_seconds > 0
    assert "RuntimeError" in (tmp_path / "run" / "fault.txt").read_text()


def test_a_progressive_recipe_is_charged_by_resolution(tmp_path):
    options = ("model=resnet18", "recipe=small_modern", "recipe.epochs=2", "target.value=1.0")
    outcome = run(tiny(tmp_path, *options, f"run_dir={tmp_path / 'run'}"))
    small, full = outcome.entry.segments
    assert (small.resolution_px, small.images) == (12, 300)
    assert (full.resolution_px, full.images) == (16, 300)
    assert small.forward_macs < full.forward_macs
    expected = (small.forward_macs + full.forward_macs) / 2
    assert outcome.entry.forward_macs == pytest.approx(expected)
    assert outcome.entry.date == "2024-03-30", "the recipe is later than the model"


def test_an_entry_records_its_hardware(folder):
    provenance = json.loads(entry_of(folder, "alexnet").model_dump_json())["provenance"]
    assert provenance["versions"]["torch"] == torch.__version__.split("+")[0]
    assert provenance["hardware"]["device"] == "cpu"
    assert provenance["hardware"]["precision"] == "fp32"
    assert len(provenance["code_digest"]) == 64


def test_regularisation_that_the_network_does_not_support_is_dropped_with_a_note(tmp_path):
    options = ("model=resnet18", "recipe=small_efficientnet", "recipe.epochs=0.3")
    place = f"run_dir={tmp_path / 'run'}"
    assert run(tiny(tmp_path, *options, "target.value=1.0", place)).exit_code == 0
    notes = events_of(tmp_path / "run")[0]["notes"]
    assert any("resnet18 has no stochastic_depth" in note for note in notes)
