"""DAWNBench's entries: columns by header, completed epochs, crossings, what is rejected."""

import re
from pathlib import Path

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger.importers import import_file_or_folder
from efficiency_bench.ledger.importers.imported import run_id
from efficiency_bench.ledger.reference import reference_rows
from efficiency_bench.ledger.store import content_digest, entry_path
from efficiency_bench.target_crossing import first_crossing, sustained_crossing
from tests.ledger.dawnbench_files import HEADER, ROWS, TOO_LONG, imported, only, reasons, written


def test_an_entry_holds_only_what_the_files_say(tmp_path):
    entry = only(written(tmp_path, hardware="8 V100", costPerHour=24.48, authorEmail="a@b.c"))
    assert entry.run_id == "imported-dawnbench-team_resnet50_gpu"
    assert (entry.tier, entry.model, entry.data) == ("imported", "ResNet50", "imagenet")
    assert entry.date == "2018-04-20"
    assert entry.source.startswith("team_resnet50_gpu.tsv, ")
    assert str(tmp_path) not in entry.model_dump_json()
    assert entry.config["costPerHour"] == "24.48"
    assert "a@b.c" not in entry.model_dump_json()
    unknown = (entry.steps, entry.forward_macs, entry.paper3x_tfs_days, entry.exact_flops)
    assert (*unknown, entry.paper3x_to_target_tfs_days) == (None,) * 5
    assert entry.segments == ()
    assert entry.images == 7 * 1_281_167
    assert [e.train_seconds for e in entry.evaluations] == [1800 * n for n in range(1, 8)]
    assert entry.evaluations[2].top5 == pytest.approx(0.793)
    assert entry.entry_digest == content_digest(entry)


def test_the_first_epoch_is_as_printed_and_crossings_match_the_estimator(tmp_path):
    entry = only(written(tmp_path))
    assert entry.first_epoch_at_target == 3
    assert (entry.target.value, entry.target.tolerance) == (0.791, 0)
    first = first_crossing(entry.target, entry.evaluations)
    assert entry.first_crossing_images == pytest.approx(first, rel=1e-12)
    sustained = sustained_crossing(entry.target, entry.evaluations, schedule_over=True)
    assert entry.sustained_crossing_images == pytest.approx(sustained, rel=1e-12)
    assert 2 < entry.first_crossing_epochs <= 3
    assert 4 < entry.sustained_crossing_epochs <= 5
    assert (entry.reached, entry.end_reason) == (True, "target")


def test_a_curve_that_never_reaches_the_target_is_kept(tmp_path):
    entry = only(written(tmp_path), target=0.95)
    assert (entry.reached, entry.end_reason) == (False, "schedule")
    assert (entry.first_epoch_at_target, entry.sustained_crossing_images) == (None, None)
    assert entry.run_id.endswith("-top5-0.95")


def test_an_accuracy_printed_equal_to_the_target_meets_it(tmp_path):
    assert only(written(tmp_path, rows=("1\t1\t50\t79.09", "2\t2\t50\t79.1"))).reached
    rows = ("1\t1\t50\t79.05", "2\t2\t50\t79.099")
    assert only(written(tmp_path, rows=rows)).first_epoch_at_target is None


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 1, 0)], ids=["usual", "hours first", "backwards"]
)
@pytest.mark.parametrize("separator", ["\t", "   "])
def test_columns_are_found_by_their_names(tmp_path, order, separator):
    def arranged(line):
        return separator.join(line.split("\t")[i] for i in order)

    usual = only(written(tmp_path / "usual"))
    header, rows = arranged(HEADER), [arranged(row) for row in ROWS]
    other = only(written(tmp_path / "other", rows=rows, header=header))
    assert other.evaluations == usual.evaluations


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    usual = only(written(tmp_path / "usual"))
    folder = written(tmp_path / "windows")
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert only(folder).evaluations == usual.evaluations


def test_cifar_has_no_top5_and_its_own_level(tmp_path):
    rows = [row.rpartition("\t")[0] for row in ("1\t1\t93\t", "2\t2\t94\t", "3\t3\t94.1\t")]
    folder = written(tmp_path, rows=rows, header=HEADER.rpartition("\t")[0])
    entry = only(folder)
    assert (entry.data, entry.images, entry.target.metric) == ("cifar10", 150_000, "top1")
    assert (entry.target.value, entry.first_epoch_at_target) == (0.94, 2)
    assert entry.run_id == "imported-dawnbench-cifar10-team_resnet50_gpu"
    assert "--metric top1" in reasons(imported(folder, metric="top5"))[0]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("3\t1.5\t52\t100.1", "from 0 to 100"),
        ("3\t1.5\t-1\t79.3", "from 0 to 100"),
        ("3\t1.5\tnan\t79.3", "from 0 to 100"),
        ("3\t1.5\t5_2\t79.3", "from 0 to 100"),
        ("3\t1.5\t80\t79.3", "top-1 is above top-5"),
        ("3\t-1\t52\t79.3", "epoch or hours"),
        ("3\t1e308\t52\t79.3", "epoch or hours"),
        ("1e300\t1.5\t52\t79.3", "epoch or hours"),
        ("three\t1.5\t52\t79.3", "epoch or hours"),
        ("2\t1.5\t50\t78", "epoch 2 is not after epoch 2"),
        ("3\t1.5\t52", "3 columns"),
        ("3\t1.5\t52\t79.3\t0", "5 columns"),
        ("3\t1.5\t52\t79.3" + " " * 1_000_000, "longer"),
    ],
)
def test_a_malformed_row_far_from_the_target_is_skipped_and_reported(tmp_path, row, why):
    got = imported(written(tmp_path, rows=(*ROWS[:2], row, *ROWS[3:])), target=0.95)
    (entry,) = got.entries
    assert [e.epochs for e in entry.evaluations] == [1, 2, 4, 5, 6, 7]
    (skipped,) = got.skipped
    assert (skipped.path, skipped.line) == ("team_resnet50_gpu.tsv", 4)
    assert why in skipped.reason
    assert entry.config["skipped"] == [f"line 4: {skipped.reason}"]
    assert "lines of the file were skipped" in entry.end_detail


@pytest.mark.parametrize(
    "row", ["3\t1.5\t52\t100.1", "3\t1.5\t52", "three\t1.5\t52\t79.3", TOO_LONG]
)
def test_a_malformed_row_next_to_the_crossing_rejects_the_curve(tmp_path, row):
    got = imported(written(tmp_path, rows=(*ROWS[:2], row, *ROWS[3:])))
    assert got.entries == ()
    assert "may depend on what was skipped (line 4)" in reasons(got)[-1]


def test_an_epoch_with_two_accuracies_makes_the_file_ambiguous(tmp_path):
    rows = (*ROWS[:2], "2\t1.5\t52\t79.3", *ROWS[3:])
    got = imported(written(tmp_path, rows=rows), target=0.95)
    assert got.entries == ()
    assert "epoch 2 has two different accuracies" in reasons(got)[1]


def test_bytes_that_are_not_utf8_are_reported(tmp_path):
    folder = written(tmp_path)
    table = folder / "team_resnet50_gpu.tsv"
    table.write_bytes(table.read_bytes().replace(b"2\t1.0", b"\xff\t1.0"))
    got = imported(folder, target=0.95)
    assert "line 3: not UTF-8 at byte 1" in reasons(got)[0]
    assert len(got.entries[0].evaluations) == 6
    assert imported(folder).entries == ()  # the next row is at the target


def test_a_header_that_swaps_epochs_and_hours_is_rejected(tmp_path):
    rows = ("1\t0.053\t40\t60", "2\t0.065\t57\t70", "3\t0.078\t70\t80")
    got = imported(written(tmp_path, rows=rows, header="hours\tepoch\ttop1Accuracy\ttop5Accuracy"))
    assert got.entries == ()
    assert "does the first line swap them?" in reasons(got)[0]


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ('{"model": "ResNet50"', "not a JSON object"),
        ('{"model": NaN}', "not a JSON object"),
        ('{"model": "ResNet50", "costPerHour": 1e999}', "not a JSON object"),
        ('{"model": "\\ud800"}', "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"model": ["ResNet50"]}', "names its model"),
        (None, "no team_resnet50_gpu.json in its folder"),
    ],
)
def test_an_entry_with_an_unreadable_description_is_reported(tmp_path, about, why):
    folder = written(tmp_path)
    described = folder / "team_resnet50_gpu.json"
    described.unlink() if about is None else described.write_text(about)
    got = imported(folder)
    assert got.entries == ()
    assert why in reasons(got)[-1]


@pytest.mark.parametrize("timestamp", ["20/04/2018", "4/5/2018", "04.05.2018", "2018-18-4"])
def test_a_date_that_does_not_begin_with_the_year_is_reported_and_unknown(tmp_path, timestamp):
    got = imported(written(tmp_path, timestamp=timestamp))
    assert got.entries[0].date is None
    assert "yyyy-mm-dd" in reasons(got)[0]


def test_month_and_day_of_a_date_may_have_one_digit(tmp_path):
    assert only(written(tmp_path, timestamp="2018-4-8")).date == "2018-04-08"


def test_a_named_network_gives_the_compute_by_its_exact_count(tmp_path):
    entry = only(written(tmp_path, model="ResNet50-v1.5"), model="resnet50")
    forward, first = 4_089_184_256, 118_013_952  # closed forms, conv1 7 x 7 / 2
    assert entry.forward_macs == forward
    assert entry.paper3x_tfs_days == pytest.approx(7 * 1_281_167 * 3 * forward / 8.64e16)
    assert entry.exact_flops == pytest.approx(7 * 1_281_167 * 2 * (3 * forward - first))
    share = entry.paper3x_to_target_tfs_days / entry.paper3x_tfs_days
    assert share == pytest.approx(entry.sustained_crossing_epochs / 7, abs=1e-6)
    assert "224 px assumed" in entry.end_detail
    assert (entry.model, entry.config["model"]["name"]) == ("resnet50", "ResNet50-v1.5")


def test_a_file_of_another_network_gets_no_compute(tmp_path):
    got = imported(written(tmp_path, model="ResNet152"), model="resnet50")
    assert got.entries == ()
    assert "ResNet152" in reasons(got)[0]
    with pytest.raises(UserError, match="unknown model 'resnet152'"):
        imported(tmp_path, model="resnet152")
    assert "resnet50" in {row["model"] for row in reference_rows()}


def test_a_folder_is_searched_and_a_file_is_read_alone(tmp_path):
    written(tmp_path / "ImageNet" / "train", "one")
    written(
        tmp_path / "CIFAR10" / "train",
        "one",
        header="epoch\thours\ttop1Accuracy",
        rows=["1\t1\t95"],
    )
    written(tmp_path / ".git", "hidden")
    assert {e.run_id for e in imported(tmp_path).entries} == {
        "imported-dawnbench-one",
        "imported-dawnbench-cifar10-one",
    }
    for name in ("one.tsv", "one.json"):
        assert len(imported(tmp_path / "ImageNet" / "train" / name).entries) == 1


def test_two_entries_of_the_same_name_are_both_reported(tmp_path):
    written(tmp_path / "a", "one")
    written(tmp_path / "b", "one", rows=ROWS[:3])
    got = imported(tmp_path)
    assert len(got.entries) == 1
    assert reasons(got) == ["b/one.tsv: a second imported-dawnbench-one: the first is kept"]


def test_links_and_tables_without_a_description_are_reported(tmp_path):
    outside = written(tmp_path / "outside")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.tsv").symlink_to(outside / "team_resnet50_gpu.tsv")
    (folder / "further").symlink_to(outside, target_is_directory=True)
    (folder / "link.json").write_text('{"model": "ResNet50"}')
    (folder / "lonely.json").write_text("{}")
    got = imported(folder)
    assert got.entries == ()
    assert [why.partition(",")[0] for why in reasons(got)] == [
        "link.tsv: a link: name the file that it points to",
        "lonely.json: no table of the same name (.tsv) in its folder",
    ]


@pytest.mark.parametrize("name", ["a b", "../up", "é", "x" * 300 + "/", "a\nb"])
def test_any_name_makes_a_safe_and_distinct_run_id(name):
    found = run_id("imported", "dawnbench", name)
    assert entry_path(Path("ledger"), found).parent.name == "ledger"
    assert found != run_id("imported", "dawnbench", name + "-")
    assert found == run_id("imported", "dawnbench", name)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    assert found != run_id("imported", "dawnbench", plain)


def test_a_missing_path_or_unknown_format_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"no dawnbench file in .*\*\.tsv"):
        imported(tmp_path)
    with pytest.raises(UserError, match="no file or folder"):
        imported(tmp_path / "nowhere")
    with pytest.raises(UserError, match="did you mean dawnbench"):
        import_file_or_folder("dawnbnch", tmp_path)
    with pytest.raises(UserError, match="fraction"):
        imported(written(tmp_path), target=79.1)
