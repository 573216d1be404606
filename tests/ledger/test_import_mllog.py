"""MLPerf's logs: one run per file, separate seeds, top-1, wall clock from run_start."""

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


def test_a_run_gives_its_seed_date_and_curve(tmp_path):
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


def test_without_top5_the_target_is_mlperfs_own(tmp_path):
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


def test_lines_of_other_processes_and_other_output_are_ignored(tmp_path):
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
def test_the_status_of_run_stop_is_kept(tmp_path, status, reason):
    curve = ((4, 0.1), (8, 0.2))
    stop = [line("run_stop", status=status)] if status else []
    run = result(tmp_path, *settings(), line("run_start"), *evaluations(curve), *stop)
    (entry,) = imported(run).entries
    assert (entry.reached, entry.end_reason) == (False, reason)
    assert (f"run_stop: {status}" if status else "without run_stop") in entry.end_detail


def test_a_truncated_log_does_not_confirm_its_last_evaluation(tmp_path):
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
def test_a_log_without_an_imagenet_curve_is_reported(tmp_path, lines, why):
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
def test_a_malformed_line_is_reported_and_rejects_a_crossing_that_may_depend_on_it(tmp_path, bad):
    lines = [*settings(), line("run_start"), *evaluations()]
    run = result(tmp_path, *lines[:-1], bad, lines[-1])
    got = imported(run, target=0.9)
    assert [e.epochs for e in got.entries[0].evaluations] == [4, 60, 64]
    assert [skipped.line for skipped in got.skipped] == [len(lines)]
    assert got.entries[0].config["skipped"] == [f"line {len(lines)}: {got.skipped[0].reason}"]
    got = imported(run)  # the next evaluation is the first at the target
    assert got.entries == ()
    assert f"(line {len(lines)})" in got.skipped[-1].reason


def test_a_damaged_setting_is_not_counted_as_a_lost_evaluation(tmp_path):
    lines = [*settings(), line("run_start"), *evaluations()]
    bad = line("opt_name", "lars")[:-9]
    (entry,) = imported(result(tmp_path, *lines[:-1], bad, lines[-1])).entries
    assert entry.first_epoch_at_target == 64
    assert len(entry.config["skipped"]) == 1


def test_a_crashed_run_and_its_restart_are_two_runs(tmp_path):
    """Both starts have the same time, so that only the lines between them separate the runs."""
    first, second = (
        ((4, 0.1), (8, 0.11), (12, 0.1)),
        ((4, 0.7), (8, 0.76), (12, 0.762), (16, 0.765)),
    )
    start = [*settings(), line("run_start")]
    got = imported(result(tmp_path, *start, *evaluations(first), *start, *evaluations(second)))
    assert got.skipped == ()
    assert [e.first_epoch_at_target for e in got.entries] == [None, 8]
    assert [[p.epochs for p in e.evaluations] for e in got.entries] == [[4, 8, 12], [4, 8, 12, 16]]
    assert got.entries[1].run_id == got.entries[0].run_id + "-run2"
    assert [e.end_reason for e in got.entries] == ["failed", "target"]


def test_a_restart_has_its_own_settings_and_its_own_clock(tmp_path):
    again = [line("seed", 8, 0), line("run_start", None, START_MS + 500_000)]
    late = line("eval_accuracy", 0.8, START_MS + 501_000, epoch_num=1)
    for between in ([], evaluations(((1, 0.2),)), [line("run_stop", status="aborted")]):
        lines = [*settings(), line("run_start"), *between, *again, late]
        *_, entry = imported(result(tmp_path, *lines)).entries
        assert (entry.seed, entry.evaluations[0].train_seconds) == (8, 1)


def test_a_run_start_after_a_run_stop_is_a_new_run_however_soon(tmp_path):
    lines = [*settings(), line("run_start"), line("run_stop", status="aborted")]
    late = line("eval_accuracy", 0.8, START_MS + 6_000, epoch_num=1)
    got = imported(result(tmp_path, *lines, line("run_start", None, START_MS + 5_000), late))
    (entry,) = got.entries
    assert entry.evaluations[0].train_seconds == 1
    assert entry.end_detail.startswith("run2; ")


def test_each_run_lists_only_its_own_skipped_lines(tmp_path):
    start = [*settings(), line("run_start")]
    bad = line("eval_accuracy", 7, epoch_num=5)
    got = imported(result(tmp_path, *start, *evaluations(((4, 0.1),)), bad, *start, *evaluations()))
    first, second = got.entries
    assert len(first.config["skipped"]) == 1
    assert "skipped" not in second.config


def test_an_accuracy_above_the_best_on_imagenet_is_rejected(tmp_path):
    got = imported(whole(tmp_path, ((4, 0.9), (8, 0.93))))
    assert got.entries == ()
    assert "93.0%" in got.skipped[0].reason


def test_consecutive_runs_in_one_file_are_all_read(tmp_path):
    lines = [*settings(), line("run_start"), *evaluations(), line("run_stop", status="success")]
    got = imported(result(tmp_path, *lines, line("run_start"), *evaluations(((1, 0.9),))))
    assert [entry.epochs for entry in got.entries] == [64, 1]


def test_a_lost_run_start_between_two_runs_rejects_both(tmp_path):
    first, second = ((4, 0.1), (8, 0.11)), ((4, 0.7), (8, 0.76), (12, 0.762))
    start = [*settings(), line("run_start")]
    lines = [*start, *evaluations(first), line("run_start")[:-9], *evaluations(second)]
    got = imported(result(tmp_path, *lines))
    assert got.entries == ()
    assert "epoch 4 has two different accuracies" in got.skipped[-2].reason


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_the_output_of_another_process_of_the_run_is_not_a_second_run(tmp_path, cut):
    """Its lines come in one block, anywhere in the output of the first process."""
    own, start = evaluations(), [*settings(), line("run_start")]
    other = [*settings(), line("run_start", None, START_MS + 5), *own]
    got = imported(result(tmp_path, *start, *own[:cut], *other, *own[cut:]))
    (entry,) = got.entries
    assert [e.epochs for e in entry.evaluations] == [4, 60, 64]
    assert "another process" in str([str(skipped) for skipped in got.skipped])


def test_percent_are_not_read_as_fractions(tmp_path):
    got = imported(whole(tmp_path, ((4, 0.9), (60, 66.8), (64, 75.98))))
    assert got.entries == ()
    assert "percent?" in got.skipped[-1].reason


@pytest.mark.parametrize("samples", [50_000, 1_200_000, 12_811_670])
def test_another_number_of_training_images_is_another_dataset(tmp_path, samples):
    got = imported(whole(tmp_path, train_samples=samples))
    assert got.entries == ()
    assert f"train_samples {samples}" in got.skipped[0].reason
    assert len(imported(whole(tmp_path, train_samples=1_281_024)).entries) == 1


def test_seconds_instead_of_milliseconds_are_detected(tmp_path):
    now = START_MS // 1000
    lines = [line("run_start", None, now), line("eval_accuracy", 0.8, now + 60, epoch_num=1)]
    got = imported(result(tmp_path, *settings(), *lines))
    assert got.entries == ()
    assert "milliseconds" in got.skipped[0].reason


def test_the_real_world_cases(cases):
    got = imported(cases / "mllog" / "restart_after_crash")
    assert [e.first_epoch_at_target for e in got.entries] == [None, 8]
    damaged = cases / "mllog" / "crossing_row_damaged"
    got = imported(damaged)
    assert got.entries == ()
    assert "(line 11)" in got.skipped[-1].reason
    (entry,) = imported(damaged, target=0.6).entries  # reached at epoch 8, far from the line
    assert entry.first_epoch_at_target == 8
    assert [text.partition(":")[0] for text in entry.config["skipped"]] == ["line 11"]
