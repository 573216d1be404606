"""Whether a table's epoch 0 is the untrained network or the first trained epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.dataset_facts import CIFAR10, IMAGENET
from efficiency_bench.ledger.importers.curve import Point, Row, completed
from efficiency_bench.ledger.importers.reading import Source
from tests.ledger.dawnbench_files import ROWS, TOO_LONG, imported, only, reasons, written


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
def test_epoch_0_counts_as_trained_if_above_chance(tmp_path, rows, first):
    assert only(written(tmp_path, rows=rows)).first_epoch_at_target == first


def epoch_of_the_only_row(top1, top5, data):
    row = Row(2, 0.0, Point(0.0, top1, top5, 1.0))
    return [point.epochs for point in completed([row], data, Source(None, "a")).points]


def test_epoch_0_is_trained_above_ten_standard_errors_untrained_at_chance_and_unclear_between():
    # top-5 of 1000 classes, in errors of sqrt(0.005 * 0.995 / 50,000): 3 are 0.5946 %, 10 0.8154 %
    for top5, epochs in ((0.00594, [0]), (0.00595, []), (0.00815, []), (0.00816, [1])):
        assert epoch_of_the_only_row(0.0, top5, IMAGENET) == epochs
    # top-1 of ten classes, in errors of sqrt(0.09 / 10,000): 3 are 10.9 %, 10 are 13 %
    for top1, epochs in ((0.1089, [0]), (0.1091, []), (0.1299, []), (0.1301, [1])):
        assert epoch_of_the_only_row(top1, None, CIFAR10) == epochs


def just_under(first_hours, last=13, first_top1=12.84):
    """A CIFAR table, 0.01 hours per epoch, with a first row 9.5 standard errors above chance."""
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
def test_a_first_row_just_below_ten_standard_errors_is_judged_by_hours_and_number_of_rows(
    tmp_path, first_hours, last, first
):
    header = "epoch\thours\ttop1Accuracy"
    got = imported(written(tmp_path, rows=just_under(first_hours, last), header=header))
    assert [entry.first_epoch_at_target for entry in got.entries] == ([first] if first else [])
    if first:
        assert "by its time (9.5 standard errors above chance)" in got.entries[0].end_detail
    else:
        assert "contradict" in reasons(got)[0]


def test_a_first_row_just_below_ten_standard_errors_needs_rows_to_compare_hours_with(tmp_path):
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


def test_fractional_epochs_after_a_trained_epoch_0_are_unclear(tmp_path):
    got = imported(written(tmp_path, rows=("0\t1\t20\t40", "0.5\t2\t60\t80")))
    assert got.entries == ()
    assert "unclear" in reasons(got)[0]


@pytest.mark.parametrize(
    "row", ["0\t1\t20\t400", "0\t1\t20", "0\t1\t50\t40", "1\t20\t40", "x\t1\t20\t40", TOO_LONG]
)
def test_a_lost_row_of_epoch_0_makes_the_numbering_unclear(tmp_path, row):
    got = imported(written(tmp_path, rows=(row, *ROWS)))
    assert got.entries == ()
    assert "the completed epochs are unclear" in reasons(got)[-2]
    assert imported(written(tmp_path, rows=("# remark", *ROWS))).entries[0].epochs == 7


def test_a_short_schedule_need_not_be_a_round_number_of_epochs(tmp_path):
    rows = just_under(0.01, last=5)  # five epochs and an untrained network, or six
    (entry,) = imported(
        written(tmp_path, rows=rows, header="epoch\thours\ttop1Accuracy", model="mine (CIFAR10)")
    ).entries
    assert entry.epochs == 6
