"""A stopped and resumed run ends bit-exactly like an undisturbed one."""

import hashlib
import os
import pickle
import shutil

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.records import Entry
from efficiency_bench.reproducibility.data_and_counts import verify_ledger
from efficiency_bench.reproducibility.rerun import differences
from efficiency_bench.run.run import run
from efficiency_bench.training import checkpoint
from tests.once import made_once
from tests.run.factory import StopAt
from tests.tiny import events_of, tiny

RECIPES = {
    "dropout and steps": (
        "experiment=alexnet",
        "recipe.epochs=2",
        "target.value=0.99",
        "recipe.batch_size=16",
    ),
    "average and rmsprop": (
        "experiment=efficientnet_b0",
        "recipe.epochs=2",
        "target.value=0.99",
        "recipe.batch_size=16",
    ),
    "growing images": (
        "model=resnet18",
        "recipe=small_modern",
        "recipe.epochs=2",
        "target.value=0.99",
        "recipe.batch_size=16",
        "evaluation.per_epoch=2",  # so that one comes before the first stop
    ),
}


@pytest.mark.parametrize("options", RECIPES.values(), ids=RECIPES)
def test_a_resumed_run_ends_as_an_undisturbed_one(options, tmp_path):
    undisturbed = run(tiny(tmp_path / "a", *options, f"run_dir={tmp_path / 'a/run'}")).entry
    stops = StopAt(7, 8, 20)
    config = tiny(tmp_path / "b", *options, f"run_dir={tmp_path / 'b/run'}")
    attempts = 1
    while (outcome := run(config, stop_requested=stops)).entry is None:
        assert outcome.exit_code == 75
        assert not list((tmp_path / "b/ledger").glob("*.json")), "a stop is no ending"
        attempts += 1
    assert attempts == 4
    assert not differences(outcome.entry, undisturbed)
    assert outcome.entry.repeated_images == 0, "a run stopped by a signal is saved first"
    kinds = [event["event"] for event in events_of(tmp_path / "b/run")]
    assert (kinds.count("start"), kinds.count("resume")) == (1, 3)
    assert all(result.ok for result in verify_ledger(str(tmp_path / "b/ledger"), None, None))


def test_a_run_stopped_between_fine_evaluations_keeps_its_evaluation_schedule(tmp_path):
    """Uses a target just above chance, and more confirmations than the schedule has room for."""
    options = ("experiment=resnet18", "recipe.epochs=2", "target.value=0.2")
    often = (
        "target.confirmations=50",
        "evaluation.per_epoch_near=5",
        f"run_dir={tmp_path / 'run'}",
    )
    config = tiny(tmp_path, *options, *often)
    per_epoch = 300 // config.recipe.batch_size + 1
    assert run(config, stop_requested=StopAt(per_epoch + 1)).entry is None
    places = [evaluation.steps for evaluation in run(config).entry.evaluations]
    assert places == [per_epoch, *(per_epoch + -(-per_epoch * k // 5) for k in range(1, 6))]


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """A run stopped twice, with two checkpoints, and the entry of the undisturbed run."""
    folder = made_once(tmp_path_factory, "stopped_run", stop_twice)
    entry = Entry.model_validate_json((folder / "a/run/entry.json").read_bytes())
    return folder, RECIPES["growing images"], entry


def stop_twice(folder):
    options = RECIPES["growing images"]
    assert run(tiny(folder / "a", *options, f"run_dir={folder / 'a/run'}")).entry is not None
    config = tiny(folder / "b", *options, f"run_dir={folder / 'b/run'}", "checkpoint_share=0")
    for _ in range(2):
        assert run(config, stop_requested=StopAt(12)).entry is None
    assert len(list((folder / "b/run").glob("checkpoint-*.pt"))) == 2


def copied(stopped_run, tmp_path):
    folder, options, entry = stopped_run
    shutil.copytree(folder / "b", tmp_path / "b")
    return tiny(tmp_path / "b", *options, f"run_dir={tmp_path / 'b/run'}"), entry


def corrupt_truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def corrupt_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def corrupt_digest(path):
    path.with_suffix(".sha256").unlink()


def corrupt_foreign(path):
    (found, *_) = [c for c in checkpoint.usable(path.parent, []) if c.path == path]
    checkpoint.save(path.parent, found.steps, found.state, {**found.about, "run_id": "another"})


def corrupt_empty(path):
    path.write_bytes(b"")
    path.with_suffix(".sha256").write_text(hashlib.sha256(b"").hexdigest())


def corrupt_pickle(path):
    data = pickle.dumps(
        {"format": 1, "state": os.system}, protocol=2
    )  # code that unpickling would run
    path.write_bytes(data)
    path.with_suffix(".sha256").write_text(hashlib.sha256(data).hexdigest())


CORRUPTIONS = {
    "truncated": (corrupt_truncate, "does not match its .sha256 file"),
    "changed": (corrupt_flip, "does not match its .sha256 file"),
    "unfinished": (corrupt_digest, "unfinished"),
    "foreign": (corrupt_foreign, "another"),
    "empty": (corrupt_empty, "not a checkpoint"),
    "malicious": (corrupt_pickle, "not a checkpoint"),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corrupt_checkpoint_is_reported_and_the_previous_one_is_used(
    corruption, stopped_run, tmp_path
):
    config, entry = copied(stopped_run, tmp_path)
    change, word = CORRUPTIONS[corruption]
    newest = sorted((tmp_path / "b/run").glob("checkpoint-*.pt"))[-1]
    change(newest)
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    resumed = [e for e in events_of(tmp_path / "b/run") if e["event"] == "resume"][-1]
    assert resumed["steps"] == 12
    assert any(newest.name in note and word in note for note in resumed["notes"])
    # an epoch of 300 has 18 batches of 16 and one of 12: 24 steps are 380 images, 12 are 192
    assert outcome.entry.repeated_images == resumed["lost"]["images"] == 380 - 192
    assert outcome.entry.repeated_seconds > 0
    assert outcome.entry.repeated_paper3x_tfs_days > 0


def test_without_a_checkpoint_it_starts_over_and_says_so(stopped_run, tmp_path):
    config, entry = copied(stopped_run, tmp_path)
    for path in (tmp_path / "b/run").glob("checkpoint-*.pt"):
        corrupt_truncate(path)
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    assert outcome.entry.repeated_images > 0
    assert all(result.ok for result in verify_ledger(str(tmp_path / "b/ledger"), None, None))


def test_a_truncated_last_line_of_the_log_is_repaired_and_the_run_resumes(stopped_run, tmp_path):
    config, entry = copied(stopped_run, tmp_path)
    log = tmp_path / "b/run/events.jsonl"
    with log.open("ab") as file:
        file.write(b'{"event": "progress", "images": 4')
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    assert all(result.ok for result in verify_ledger(str(tmp_path / "b/ledger"), None, None))


def without(number):
    """Remove line ``number`` (from 0) of a log."""

    def damage(log):
        lines = log.read_bytes().splitlines(keepends=True)
        log.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))

    return damage


def changed(number):
    """Change the year in line ``number`` (from 0) of a log without changing its length."""

    def damage(log):
        lines = log.read_bytes().splitlines(keepends=True)
        lines[number] = lines[number].replace(b'"time_utc": "2', b'"time_utc": "3')
        log.write_bytes(b"".join(lines))

    return damage


@pytest.mark.parametrize("harm", [without, changed])
def test_a_log_damaged_in_the_middle_resumes_from_the_checkpoint_before(
    harm, stopped_run, tmp_path
):
    """The first checkpoint was saved before the first ``interrupted``, the other one after it."""
    config, entry = copied(stopped_run, tmp_path)
    folder = tmp_path / "b/run"
    before = (folder / "events.jsonl").read_bytes()
    first_stop = [event["event"] for event in events_of(folder)].index("interrupted")
    harm(first_stop)(folder / "events.jsonl")
    rest = (folder / "events.jsonl").read_bytes()
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    (repair,) = [event for event in events_of(folder) if event["event"] == "repair"]
    kept = (folder / repair["kept_as"]).read_bytes()
    sound = (folder / "events.jsonl").read_bytes()[: len(rest) - len(kept)]
    assert sound + kept == rest, "nothing is thrown away"
    assert before.startswith(sound)
    # 24 steps are 380 images; the remaining checkpoint was saved after 12 steps, 192 images
    assert outcome.entry.repeated_images == 380 - 192
    assert all(result.ok for result in verify_ledger(str(tmp_path / "b/ledger"), None, None))


@pytest.mark.parametrize("harm", [without, changed])
def test_a_log_damaged_before_every_checkpoint_is_rejected_and_not_changed(
    harm, stopped_run, tmp_path
):
    config, _ = copied(stopped_run, tmp_path)
    folder = tmp_path / "b/run"
    harm(1)(folder / "events.jsonl")
    as_it_is = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}
    with pytest.raises(
        UserError, match=r"events\.jsonl, line 2 does not continue.*\n.*run_dir=DIR"
    ):
        run(config)
    assert as_it_is == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"
    }
    assert store.read(tmp_path / "b/ledger").entries == ()


def test_a_damaged_log_without_a_checkpoint_starts_over_and_counts_the_lost_work(
    stopped_run, tmp_path
):
    config, entry = copied(stopped_run, tmp_path)
    folder = tmp_path / "b/run"
    for path in folder.glob("checkpoint-*"):
        path.unlink()
    without(1)(folder / "events.jsonl")
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    assert outcome.entry.repeated_images == 380
    assert all(result.ok for result in verify_ledger(str(tmp_path / "b/ledger"), None, None))


@pytest.mark.parametrize("block", [b"\0" * 4096, b"\0" * 4096 + b"\n", b'{"eve\0\0\n\0\0'])
def test_a_log_tail_damaged_by_a_power_cut_loses_nothing(block, stopped_run, tmp_path):
    config, entry = copied(stopped_run, tmp_path)
    with (tmp_path / "b/run/events.jsonl").open("ab") as log:
        log.write(block)
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    assert outcome.entry.repeated_images == 0
    assert all(result.ok for result in verify_ledger(str(tmp_path / "b/ledger"), None, None))


def test_a_checkpoint_of_another_log_is_not_used(stopped_run, tmp_path):
    config, entry = copied(stopped_run, tmp_path)
    log = tmp_path / "b/run/events.jsonl"
    start = log.read_text().splitlines(keepends=True)[0]
    log.write_text(start)
    outcome = run(config)
    assert not differences(outcome.entry, entry)
    notes = [e for e in events_of(tmp_path / "b/run") if e["event"] == "resume"][-1]["notes"]
    assert sum("event log" in note for note in notes) == 2


def test_a_folder_with_another_run_is_rejected(stopped_run, tmp_path):
    copied(stopped_run, tmp_path)
    other = tiny(
        tmp_path / "b", *RECIPES["growing images"], "seed=5", f"run_dir={tmp_path / 'b/run'}"
    )
    with pytest.raises(UserError, match="holds the unfinished run"):
        run(other)


def test_a_finished_run_keeps_no_checkpoint(stopped_run):
    folder, _, _ = stopped_run
    names = {path.name for path in (folder / "a/run").iterdir()}
    assert names == {"events.jsonl", "entry.json", "lock"}
