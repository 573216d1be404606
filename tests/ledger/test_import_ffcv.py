"""FFCV's logs: tables and JSON lines, epochs from 0, evaluation subtracted from the clock."""

import json

import pytest

from efficiency_bench.ledger.importers import import_file_or_folder

COLUMNS = (
    "",
    "timestamp",
    "relative_time",
    "top_1",
    "top_5",
    "val_time",
    "epoch",
    "uid",
    "model.arch",
    "training.epochs",
)
TOP5 = (0.17, 0.7, 0.78, 0.80, 0.81, 0.85)


def rows(uid="aaaa", top5=TOP5, epochs=None):
    """Rows with 40 s of training and 10 s of evaluation per epoch; the last epoch comes twice."""
    date, planned = "2022-01-17 20:07:37.567685120", epochs or len(top5)
    lines = [
        f",{date},{50 * (n + 1)},{max(a - 0.1, 0):.4f},{a},10,{n},{uid},resnet50,{planned}"
        for n, a in enumerate(top5)
    ]
    last = lines[-1].split(",")
    last[2] = str(50 * len(top5) + 10)
    return [*lines, ",".join(last)]


def table(folder, *runs, columns=COLUMNS):
    path = folder / "agg.csv"
    path.write_text("\n".join([",".join(columns), *(row for run in runs for row in run)]) + "\n")
    return path


def log(folder, top5=TOP5, params=None):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {"timestamp": 1642450057.5 + n, "relative_time": 50.0 * (n + 1), "top_1": round(a - 0.1, 4)}
        | {"top_5": a, "val_time": 10.0, "train_loss": 3.0, "epoch": n}
        for n, a in enumerate(top5)
    ]
    (folder / "log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if params is not None:
        (folder / "params.json").write_text(json.dumps(params))
    return folder


def imported(path, **options):
    return import_file_or_folder("ffcv", path, **options)


def test_epochs_are_completed_epochs_and_evaluation_is_off_the_clock(tmp_path):
    got = imported(table(tmp_path, rows()))
    (entry,) = got.entries
    assert (entry.run_id, entry.model) == ("imported-ffcv-aaaa", "resnet50")
    assert (entry.recipe, entry.date) == ("ffcv_6_epochs", "2022-01-17")
    assert entry.first_epoch_at_target == 4
    assert [e.epochs for e in entry.evaluations] == [1, 2, 3, 4, 5, 6]
    assert [e.train_seconds for e in entry.evaluations] == [40, 80, 120, 160, 200, 240]
    assert {e.evaluation_seconds for e in entry.evaluations} == {10}
    assert entry.reached
    (skipped,) = got.skipped
    assert str(skipped) == "agg.csv, line 8: epoch 5 is not after epoch 5"


def test_epoch_0_counts_as_trained_even_at_chance(tmp_path):
    (entry,) = imported(table(tmp_path, rows(top5=(0.005, 0.8)))).entries
    assert entry.first_epoch_at_target == 2


def test_the_runs_of_a_table_are_distinguished_by_uid(tmp_path):
    one, other = rows("one"), rows("other", (0.5, 0.6, 0.7))
    mixed = [line for pair in zip(one, other, strict=False) for line in pair] + one[4:]
    got = imported(table(tmp_path, mixed))
    assert {e.run_id: e.first_epoch_at_target for e in got.entries} == {
        "imported-ffcv-one": 4,
        "imported-ffcv-other": None,
    }


def test_a_log_and_its_table_give_the_same_entry(tmp_path):
    params = {"model.arch": "resnet50", "training.epochs": 6}
    (from_log,) = imported(log(tmp_path / "run", params=params)).entries
    (from_table,) = imported(table(tmp_path, rows())).entries
    assert from_log.evaluations == from_table.evaluations
    same = ("model", "recipe", "first_epoch_at_target", "date", "images")
    assert [getattr(from_log, k) for k in same] == [getattr(from_table, k) for k in same]


def test_logs_of_the_same_name_get_distinct_and_stable_run_ids(tmp_path):
    log(tmp_path / "a"), log(tmp_path / "b", (0.1, 0.9))
    ids = {e.run_id for e in imported(tmp_path).entries}
    assert len(ids) == 2
    assert {imported(tmp_path / x / "log").entries[0].run_id for x in "ab"} == ids


def test_a_truncated_log_does_not_confirm_its_last_evaluation(tmp_path):
    (entry,) = imported(table(tmp_path, rows(top5=(0.5, 0.8), epochs=16))).entries
    assert entry.first_epoch_at_target == 2
    assert (entry.reached, entry.end_reason) == (False, "failed")
    assert "ends before its 16 epochs" in entry.end_detail
    (entry,) = imported(table(tmp_path, rows(top5=(0.5, 0.8, 0.8, 0.8), epochs=16))).entries
    assert (entry.reached, entry.end_reason) == (True, "target")


def test_the_user_may_name_the_network_of_a_log_that_does_not(tmp_path):
    assert imported(log(tmp_path / "run")).entries[0].model == "unknown"
    (entry,) = imported(log(tmp_path / "run"), model="resnet18").entries
    assert (entry.model, entry.forward_macs) == ("resnet18", 1_814_073_344)
    got = imported(table(tmp_path, rows()), model="resnet18")
    assert got.entries == ()
    assert "its network is resnet50" in got.skipped[-1].reason


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("top_5", "1.01"),
        ("top_5", ""),
        ("top_5", "0.1"),
        ("top_1", "-0.1"),
        ("epoch", ""),
        ("relative_time", "-1"),
        ("relative_time", "12"),
        ("val_time", "200"),
    ],
)
def test_a_malformed_row_is_reported_and_rejects_a_crossing_that_may_depend_on_it(
    tmp_path, column, value
):
    lines = rows()[:-1]
    fields = lines[1].split(",")
    fields[COLUMNS.index(column)] = value
    lines[1] = ",".join(fields)
    path = table(tmp_path, lines)
    (entry,) = imported(path, target=0.84).entries
    assert 2 not in [e.epochs for e in entry.evaluations]
    assert [text.partition(":")[0] for text in entry.config["skipped"]] == ["line 3"]
    assert "of skipped lines may be part of it" in entry.config["clock"]
    got = imported(path)  # 78 % is next to the line, and the target is 79.1 %
    assert got.entries == ()
    assert "(line 3)" in got.skipped[-1].reason


@pytest.mark.parametrize(
    ("text", "runs"), [('{"timestamp": 16424', 0), ('1, "top_5": 0.8}', 0), ("Epoch 3", 1)]
)
def test_a_torn_row_next_to_the_crossing_rejects_the_run_but_other_output_does_not(
    tmp_path, text, runs
):
    path = log(tmp_path / "run") / "log"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], text, *lines[3:]]))
    got = imported(path)
    assert len(got.entries) == runs
    assert got.skipped[0].line == 4


def test_an_error_in_the_parameters_is_not_counted_as_a_line_of_the_log(tmp_path):
    folder = log(tmp_path / "run", params={})
    (folder / "params.json").write_bytes(b'{"model.arch":\n\xff}')
    got = imported(folder)
    assert [skipped.path for skipped in got.skipped] == ["params.json", "log"]
    assert "skipped" not in got.entries[0].config


def test_an_unreadable_line_of_a_table_counts_as_missing_in_every_run(tmp_path):
    one, other = rows("one"), rows("other", (0.5, 0.6, 0.7))
    got = imported(table(tmp_path, one, ["torn"], other))
    assert [entry.run_id for entry in got.entries] == ["imported-ffcv-one", "imported-ffcv-other"]
    got = imported(table(tmp_path, one[:3], ["torn"], one[3:], other))
    assert [entry.run_id for entry in got.entries] == ["imported-ffcv-other"]


def test_a_restarted_log_is_two_runs(tmp_path):
    log(tmp_path / "a", (0.1, 0.2, 0.3)), log(tmp_path / "b")
    first, second = ((tmp_path / x / "log").read_text() for x in "ab")
    (tmp_path / "a" / "log").write_text(first + second)
    got = imported(tmp_path / "a")
    assert got.skipped == ()
    assert [e.first_epoch_at_target for e in got.entries] == [None, 4]
    assert [len(e.evaluations) for e in got.entries] == [3, 6]
    assert [e.evaluations[0].train_seconds for e in got.entries] == [40, 40]


def test_a_log_without_its_beginning_is_rejected(tmp_path):
    folder = log(tmp_path / "run")
    path = folder / "log"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    got = imported(folder)
    assert got.entries == ()
    assert "begins at epoch 1, the format at 0" in got.skipped[0].reason


def test_percent_are_not_read_as_fractions(tmp_path):
    got = imported(table(tmp_path, rows(top5=(0.9, 70.0, 80.0, 81.0))))
    assert got.entries == ()
    assert "percent?" in got.skipped[0].reason


def test_an_accuracy_above_the_best_on_imagenet_is_rejected(tmp_path):
    got = imported(table(tmp_path, rows(epochs=2, top5=(0.9, 1.0))[:-1]))
    assert len(got.entries) == 1  # 90 % at top-1
    lines = [line.replace("0.9000", "0.9300") for line in rows(top5=(0.9, 1.0))]
    got = imported(table(tmp_path, lines))
    assert got.entries == ()
    assert "93.0%" in got.skipped[-1].reason


@pytest.mark.parametrize("timestamp", ["20220117", "2012-01-17 20:07:37"])
def test_a_timestamp_before_ffcv_existed_is_invalid(tmp_path, timestamp):
    lines = [line.replace("2022-01-17 20:07:37.567685120", timestamp) for line in rows()[:-1]]
    got = imported(table(tmp_path, lines))
    assert got.entries[0].date is None
    assert "no date" in got.skipped[0].reason


def test_an_invalid_timestamp_is_reported_and_the_date_is_unknown(tmp_path):
    lines = [line.replace("2022-01-17", "17.01.2022") for line in rows()[:-1]]
    got = imported(table(tmp_path, lines))
    assert got.entries[0].date is None
    assert "no date" in got.skipped[0].reason


def test_lines_that_are_not_json_are_reported(tmp_path):
    folder = log(tmp_path / "run", params={})
    path = folder / "log"
    path.write_text('{"top_1": NaN}\n[]\nEpoch 3\n' + path.read_text() + '{"top_1": 0.5, "top')
    got = imported(folder)
    assert [skipped.line for skipped in got.skipped] == [1, 2, 3, 10]
    assert len(got.entries[0].evaluations) == 6


def test_a_table_with_missing_columns_is_reported(tmp_path):
    got = imported(table(tmp_path, rows(), columns=[c.replace("uid", "id") for c in COLUMNS]))
    assert got.entries == ()
    assert "not a table of logs" in got.skipped[0].reason
