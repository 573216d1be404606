"""DAWNBench's entries: columns by header, completed epochs, crossings, what is refused."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.dataset_facts import CIFAR10, IMAGENET
from efficiency_bench.errors import UserError
from efficiency_bench.ledger.importers import import_file_or_folder
from efficiency_bench.ledger.importers.curve import Point, Row, completed
from efficiency_bench.ledger.importers.imported import run_id
from efficiency_bench.ledger.importers.reading import Source
from efficiency_bench.ledger.reference import reference_rows
from efficiency_bench.ledger.store import content_digest, entry_path
from efficiency_bench.target_crossing import first_crossing, sustained_crossing

HEADER = "epoch\thours\ttop1Accuracy\ttop5Accuracy"
ROWS = (
    "1\t0.5\t10\t30",
    "2\t1.0\t50\t78",
    "3\t1.5\t52\t79.3",
    "4\t2.0\t51\t78.9",
    "5\t2.5\t53\t79.5",
    "6\t3.0\t54\t80",
    "7\t3.5\t55\t81",
)


def written(folder, name="team_resnet50_gpu", rows=ROWS, header=HEADER, **about):
    """NAME.tsv and NAME.json; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tsv").write_text("\n".join([header, *rows]) + "\n")
    about = {"version": "v1.0", "model": "ResNet50", "timestamp": "2018-04-20", **about}
    (folder / f"{name}.json").write_text(json.dumps(about, indent=2))
    return folder


def imported(folder, **options):
    return import_file_or_folder("dawnbench", folder, **options)


def only(folder, **options):
    got = imported(folder, **options)
    assert not got.skipped
    (entry,) = got.entries
    return entry


def reasons(got):
    return [str(skipped) for skipped in got.skipped]


def test_an_entry_says_what_the_files_say_and_nothing_else(tmp_path):
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


def test_first_epoch_is_printed_and_crossings_are_those_of_the_estimator(tmp_path):
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


def test_a_curve_that_never_arrives_is_kept_as_such(tmp_path):
    entry = only(written(tmp_path), target=0.95)
    assert (entry.reached, entry.end_reason) == (False, "schedule")
    assert (entry.first_epoch_at_target, entry.sustained_crossing_images) == (None, None)
    assert entry.run_id.endswith("-top5-0.95")


def test_the_target_is_met_where_it_is_printed_exactly(tmp_path):
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


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        # the first two rows and the crossing of public tables, with the epochs that
        # their authors had completed
        (("0\t0.0104\t9.33\t23.14", "15\t0.1866\t54.53\t78.7", "16\t0.2022\t55.58\t79.33"), 17),
        (("0\t0.0362\t7.040\t21.408", "20\t0.8581\t42.592\t69.136", "21\t0.96\t68.3\t88.816"), 22),
        (("0\t0.0429\t7.586\t19.566", "11\t0.3189\t53.772\t78.156", "12\t0.34\t59.7\t82.866"), 13),
        (("0\t0.0872\t0.11\t0.48", "17\t0.6463\t46.16\t71.83", "19\t0.7882\t54.96\t80.23"), 19),
        (("0\t0\t0.120237152\t0.530701708", "26\t0.04\t52.5\t77.997", "27\t0.05\t55\t80.4"), 27),
        (
            ("0\t0.0046\t0.09\t0.50", "20.2\t0.496\t50.106\t75.93", "21.7\t0.575\t55.956\t80.7"),
            21.7,
        ),
        (("1\t0.1564\t5.37\t15.36", "14\t2.167\t53.67\t79.01", "16\t2.479\t54.72\t79.55"), 16),
    ],
)
def test_epoch_0_is_trained_where_it_is_above_chance(tmp_path, rows, first):
    assert only(written(tmp_path, rows=rows)).first_epoch_at_target == first


def epoch_of_the_only_row(top1, top5, data):
    row = Row(2, 0.0, Point(0.0, top1, top5, 1.0))
    return [point.epochs for point in completed([row], data, Source(None, "a")).points]


def test_above_ten_standard_errors_is_trained_at_chance_is_not_and_between_is_unclear():
    # top-5 of 1000 classes, in errors of sqrt(0.005 * 0.995 / 50,000): 3 are 0.5946 %, 10 0.8154 %
    for top5, epochs in ((0.00594, [0]), (0.00595, []), (0.00815, []), (0.00816, [1])):
        assert epoch_of_the_only_row(0.0, top5, IMAGENET) == epochs
    # top-1 of ten classes, in errors of sqrt(0.09 / 10,000): 3 are 10.9 %, 10 are 13 %
    for top1, epochs in ((0.1089, [0]), (0.1091, []), (0.1299, []), (0.1301, [1])):
        assert epoch_of_the_only_row(top1, None, CIFAR10) == epochs


def just_under(first_hours, last=13, first_top1=12.84):
    """A CIFAR table of 0.01 hours an epoch, whose first row is 9.5 standard errors over chance."""
    rows = [f"0\t{first_hours}\t{first_top1}"]
    rows += [f"{n}\t{first_hours + n / 100:.4f}\t{min(60 + 5 * n, 95)}" for n in range(1, last + 1)]
    return rows


@pytest.mark.parametrize(
    ("first_hours", "last", "first"),
    [
        (0.01, 13, 8),  # an epoch's time, fourteen epochs or thirteen: the time decides
        (0.0002, 13, 7),
        (0.01, 29, 8),  # 30 epochs numbered from 0
        (0.0002, 30, 7),  # 30 epochs and the untrained network
        (0.01, 30, None),  # they contradict one another
        (0.0002, 29, None),
    ],
)
def test_a_first_row_just_under_the_cut_is_judged_by_its_hours_and_the_number_of_rows(
    tmp_path, first_hours, last, first
):
    header = "epoch\thours\ttop1Accuracy"
    got = imported(written(tmp_path, rows=just_under(first_hours, last), header=header))
    assert [entry.first_epoch_at_target for entry in got.entries] == ([first] if first else [])
    if first:
        assert "by its time (9.5 standard errors above chance)" in got.entries[0].end_detail
    else:
        assert "contradict" in reasons(got)[0]


def test_a_first_row_just_under_the_cut_needs_rows_to_compare_its_hours_with(tmp_path):
    header = "epoch\thours\ttop1Accuracy"
    got = imported(written(tmp_path, rows=("0\t0.01\t12.84", "1\t0.02\t95"), header=header))
    assert got.entries == ()
    assert "too few rows" in reasons(got)[0]


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=20, unique=True).map(sorted),
    st.booleans(),
)
def test_numbering_moves_all_epochs_together_or_none(epochs, learned):
    top1, top5 = (0.4, 0.6) if learned else (0.001, 0.005)
    points = [Point(float(epoch), top1, top5, 1.0) for epoch in epochs]
    rows = [Row(line, point.epochs, point) for line, point in enumerate(points)]
    source = Source(None, "a")
    points = completed(rows, IMAGENET, source).points
    by = 1 if learned and epochs[0] == 0 else 0
    assert [point.epochs for point in points] == [epoch + by for epoch in epochs]
    assert not source.skipped


def test_parts_of_epochs_after_a_trained_epoch_0_are_unclear(tmp_path):
    got = imported(written(tmp_path, rows=("0\t1\t20\t40", "0.5\t2\t60\t80")))
    assert got.entries == ()
    assert "unclear" in reasons(got)[0]


@pytest.mark.parametrize(
    "row", ["0\t1\t20\t400", "0\t1\t20", "0\t1\t50\t40", "1\t20\t40", "x\t1\t20\t40"]
)
def test_a_lost_row_of_epoch_0_leaves_the_numbering_unclear(tmp_path, row):
    got = imported(written(tmp_path, rows=(row, *ROWS)))
    assert got.entries == ()
    assert "what is completed is unclear" in reasons(got)[-2]
    assert imported(written(tmp_path, rows=("# remark", *ROWS))).entries[0].epochs == 7


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
        ("3\t1.5\t80\t79.3", "top-1 than at top-5"),
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
def test_a_malformed_row_far_from_the_target_is_named_and_skipped(tmp_path, row, why):
    got = imported(written(tmp_path, rows=(*ROWS[:2], row, *ROWS[3:])), target=0.95)
    (entry,) = got.entries
    assert [e.epochs for e in entry.evaluations] == [1, 2, 4, 5, 6, 7]
    (skipped,) = got.skipped
    assert (skipped.path, skipped.line) == ("team_resnet50_gpu.tsv", 4)
    assert why in skipped.reason
    assert entry.config["skipped"] == [f"line 4: {skipped.reason}"]
    assert "lines of the file were skipped" in entry.end_detail


@pytest.mark.parametrize("row", ["3\t1.5\t52\t100.1", "3\t1.5\t52", "three\t1.5\t52\t79.3", "\xff"])
def test_a_malformed_row_beside_the_crossing_withholds_the_answer(tmp_path, row):
    got = imported(written(tmp_path, rows=(*ROWS[:2], row, *ROWS[3:])))
    assert got.entries == ()
    assert "may hang on what was skipped (line 4)" in reasons(got)[-1]


def test_an_epoch_with_two_accuracies_leaves_the_file_unclear(tmp_path):
    rows = (*ROWS[:2], "2\t1.5\t52\t79.3", *ROWS[3:])
    got = imported(written(tmp_path, rows=rows), target=0.95)
    assert got.entries == ()
    assert "epoch 2 has two accuracies" in reasons(got)[1]


def test_bytes_that_are_no_text_are_named(tmp_path):
    folder = written(tmp_path)
    table = folder / "team_resnet50_gpu.tsv"
    table.write_bytes(table.read_bytes().replace(b"2\t1.0", b"\xff\t1.0"))
    got = imported(folder, target=0.95)
    assert "line 3: not UTF-8 at byte 1" in reasons(got)[0]
    assert len(got.entries[0].evaluations) == 6
    assert imported(folder).entries == ()  # the next row is at the target


def test_a_header_that_exchanges_epochs_and_hours_is_refused(tmp_path):
    rows = ("1\t0.053\t40\t60", "2\t0.065\t57\t70", "3\t0.078\t70\t80")
    got = imported(written(tmp_path, rows=rows, header="hours\tepoch\ttop1Accuracy\ttop5Accuracy"))
    assert got.entries == ()
    assert "exchanges" in reasons(got)[0]


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ('{"model": "ResNet50"', "no JSON object"),
        ('{"model": NaN}', "no JSON object"),
        ('{"model": "ResNet50", "costPerHour": 1e999}', "no JSON object"),
        ('{"model": "\\ud800"}', "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        ('{"model": ["ResNet50"]}', "names its model"),
        (None, "no team_resnet50_gpu.json beside it"),
    ],
)
def test_an_entry_whose_description_cannot_be_read_is_named(tmp_path, about, why):
    folder = written(tmp_path)
    described = folder / "team_resnet50_gpu.json"
    described.unlink() if about is None else described.write_text(about)
    got = imported(folder)
    assert got.entries == ()
    assert why in reasons(got)[-1]


@pytest.mark.parametrize("timestamp", ["20/04/2018", "4/5/2018", "04.05.2018", "2018-18-4"])
def test_a_date_that_does_not_begin_with_the_year_is_named_and_unknown(tmp_path, timestamp):
    got = imported(written(tmp_path, timestamp=timestamp))
    assert got.entries[0].date is None
    assert "yyyy-mm-dd" in reasons(got)[0]


def test_a_date_may_have_single_digits_behind_its_year(tmp_path):
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


def test_a_file_of_another_network_does_not_get_it(tmp_path):
    got = imported(written(tmp_path, model="ResNet152"), model="resnet50")
    assert got.entries == ()
    assert "ResNet152" in reasons(got)[0]
    with pytest.raises(UserError, match="unknown model 'resnet152'"):
        imported(tmp_path, model="resnet152")
    assert "resnet50" in {row["model"] for row in reference_rows()}


def test_a_folder_is_searched_and_a_file_stands_for_itself(tmp_path):
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


def test_two_entries_of_one_name_do_not_hide_one_another(tmp_path):
    written(tmp_path / "a", "one")
    written(tmp_path / "b", "one", rows=ROWS[:3])
    got = imported(tmp_path)
    assert len(got.entries) == 1
    assert reasons(got) == ["b/one.tsv: a second imported-dawnbench-one: the first is kept"]


def test_links_and_tables_without_description_are_named(tmp_path):
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
        "link.tsv: a link: name the file that it leads to",
        "lonely.json: no table of the same name (.tsv) beside it",
    ]


@pytest.mark.parametrize("name", ["a b", "../up", "é", "x" * 300 + "/", "a\nb"])
def test_any_name_makes_a_safe_and_distinct_run_id(name):
    found = run_id("imported", "dawnbench", name)
    assert entry_path(Path("ledger"), found).parent.name == "ledger"
    assert found != run_id("imported", "dawnbench", name + "-")
    assert found == run_id("imported", "dawnbench", name)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    assert found != run_id("imported", "dawnbench", plain)


def test_a_path_or_format_that_does_not_exist_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"no dawnbench file in .*\*\.tsv"):
        imported(tmp_path)
    with pytest.raises(UserError, match="no file or folder"):
        imported(tmp_path / "nowhere")
    with pytest.raises(UserError, match="did you mean dawnbench"):
        import_file_or_folder("dawnbnch", tmp_path)
    with pytest.raises(UserError, match="fraction"):
        imported(written(tmp_path), target=79.1)
