"""MLPerf's logs: one run a file, seeds apart, top-1, wall clock from run_start."""

import json

import pytest

from efficiency_bench.ledger.importers import import_file_or_folder

START_MS = 1_591_750_687_086
"""2020-06-10 00:58:07 UTC, the start of a public run."""

CURVE = ((4, 0.03462), (60, 0.66884), (64, 0.75984))


def line(key, value=None, time_ms=START_MS, **metadata):
    event = {"namespace": "", "time_ms": time_ms, "event_type": "POINT_IN_TIME", "key": key}
    return ":::MLLOG " + json.dumps({**event, "value": value, "metadata": metadata})


def settings(benchmark="resnet", **others):
    known = {"submission_benchmark": benchmark, "submission_org": "Example", "seed": 7}
    known |= {"submission_platform": "8xA100", "global_batch_size": 4096} | others
    return [line(key, value, 0) for key, value in known.items()]


def evaluations(curve=CURVE):
    return [
        line("eval_accuracy", top1, START_MS + 1000 * epoch, epoch_num=epoch)
        for epoch, top1 in curve
    ]


def result(folder, *lines, name="result_0.txt"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def whole(folder, curve=CURVE, name="result_0.txt", status="success", **others):
    stop = line("run_stop", None, START_MS + 99_000, status=status)
    return result(
        folder, *settings(**others), line("run_start"), *evaluations(curve), stop, name=name
    )


def imported(path, **options):
    return import_file_or_folder("mllog", path, **options)


def test_a_run_says_its_seed_its_date_and_its_curve(tmp_path):
    got = imported(whole(tmp_path))
    (entry,) = got.entries
    assert got.skipped == ()
    assert (entry.model, entry.data, entry.seed) == ("resnet50", "imagenet", 7)
    assert (entry.recipe, entry.date) == ("mlperf Example 8xA100", "2020-06-10")
    assert [e.train_seconds for e in entry.evaluations] == [4, 60, 64]
    assert [e.evaluation_seconds for e in entry.evaluations] == [None] * 3
    assert [e.top5 for e in entry.evaluations] == [None] * 3
    assert entry.images == 64 * 1_281_167
    assert "evaluation is part of it" in entry.config["clock"]


def test_without_a_top5_it_is_held_to_mlperfs_own_target(tmp_path):
    (entry,) = imported(whole(tmp_path)).entries
    assert (entry.target.metric, entry.target.value) == ("top1", 0.759)
    assert (entry.first_epoch_at_target, entry.reached) == (64, True)
    (entry,) = imported(whole(tmp_path), metric="top1", target=0.6).entries
    assert entry.first_epoch_at_target == 60
    got = imported(whole(tmp_path), metric="top5")
    assert got.entries == ()
    assert "--metric top1" in got.skipped[0].reason


def test_each_result_of_a_folder_is_a_seed(tmp_path):
    for seed in range(3):
        whole(tmp_path / "system" / "resnet", name=f"result_{seed}.txt", seed=seed)
    (tmp_path / "requirements.txt").write_text("torch\n")
    got = imported(tmp_path)
    assert [entry.seed for entry in got.entries] == [0, 1, 2]
    assert len({entry.recipe for entry in got.entries}) == 1
    assert "no :::MLLOG line" in str(got.skipped[0])


def test_every_process_may_log_and_other_output_may_stand_between(tmp_path):
    lines = [*settings(), *settings(), line("run_start"), line("run_start", None, START_MS + 5)]
    noise = ["Epoch[3] accuracy=nan", "\x1b[0m"]
    doubled = [f"{rank}: {text}" for text in evaluations() for rank in (0, 1)]
    got = imported(result(tmp_path, *lines, *noise, *doubled, line("run_stop", status="success")))
    assert [e.epochs for e in got.entries[0].evaluations] == [4, 60, 64]
    assert got.entries[0].evaluations[0].train_seconds == 4
    assert len(got.skipped) == 3


def test_epochs_may_be_given_as_samples(tmp_path):
    lines = [line("eval_accuracy", 0.8, START_MS + 1, samples_count=2_562_334)]
    (entry,) = imported(result(tmp_path, *settings(), line("run_start"), *lines)).entries
    assert (entry.epochs, entry.images) == (2, 2_562_334)


def test_seconds_instead_of_milliseconds_are_read_as_such(tmp_path):
    text = result(tmp_path, line("run_start"), *evaluations(), line("run_stop", status="success"))
    path = text / "result_0.txt"
    events = [json.loads(one.partition(" ")[2]) for one in path.read_text().splitlines()]
    for event in events:
        event["time_s"] = event.pop("time_ms") / 1000
    lines = [":::MLLOG " + json.dumps(event) for event in events]
    (entry,) = imported(result(tmp_path, *settings(), *lines)).entries
    assert [e.train_seconds for e in entry.evaluations] == pytest.approx([4, 60, 64], abs=1e-3)


@pytest.mark.parametrize(
    ("status", "reason"), [("success", "schedule"), ("aborted", "schedule"), (None, "failed")]
)
def test_how_the_run_stopped_is_kept(tmp_path, status, reason):
    curve = ((4, 0.1), (8, 0.2))
    stop = [line("run_stop", status=status)] if status else []
    run = result(tmp_path, *settings(), line("run_start"), *evaluations(curve), *stop)
    (entry,) = imported(run).entries
    assert (entry.reached, entry.end_reason) == (False, reason)
    assert (f"run_stop: {status}" if status else "without run_stop") in entry.end_detail


def test_a_cut_log_does_not_confirm_its_last_evaluation(tmp_path):
    lines = [*settings(), line("run_start"), *evaluations()]
    (entry,) = imported(result(tmp_path, *lines)).entries
    assert (entry.first_epoch_at_target, entry.reached) == (64, False)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([*settings("bert"), line("run_start"), *evaluations()], "benchmark bert"),
        ([line("seed", 1), line("run_start"), *evaluations()], "benchmark None"),
        ([*settings(), *evaluations()], "no run_start"),
        ([*settings(), line("run_start")], "no usable eval_accuracy"),
        (["nothing"], "no :::MLLOG line"),
    ],
)
def test_a_log_that_cannot_be_placed_is_named(tmp_path, lines, why):
    got = imported(result(tmp_path, *lines))
    assert got.entries == ()
    assert why in got.skipped[-1].reason


@pytest.mark.parametrize(
    "bad",
    [
        line("eval_accuracy", 75.9, epoch_num=62),
        line("eval_accuracy", "high", epoch_num=62),
        line("eval_accuracy", 0.7),
        line("eval_accuracy", 0.7, epoch_num=-1),
        line("eval_accuracy", 0.7, epoch_num=True),
        line("eval_accuracy", 0.7, START_MS - 1, epoch_num=62),
        line("eval_accuracy", float("nan"), epoch_num=62),
        line("eval_accuracy", 0.7, epoch_num=62)[:-4],
        ":::MLLOG",
        ':::MLLOG {"key": 3}',
    ],
)
def test_a_malformed_line_is_named_and_skipped(tmp_path, bad):
    lines = [*settings(), line("run_start"), *evaluations()]
    got = imported(result(tmp_path, *lines[:-1], bad, lines[-1]))
    assert [e.epochs for e in got.entries[0].evaluations] == [4, 60, 64]
    assert [skipped.line for skipped in got.skipped] == [len(lines)]


def test_a_second_run_in_the_file_is_named(tmp_path):
    lines = [*settings(), line("run_start"), *evaluations(), line("run_stop", status="success")]
    got = imported(result(tmp_path, *lines, line("run_start"), *evaluations(((1, 0.9),))))
    assert got.entries[0].epochs == 64
    assert "second run" in got.skipped[0].reason
