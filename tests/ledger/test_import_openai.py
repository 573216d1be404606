"""OpenAI's leaderboard: what a row gives, what is skipped, and the round trip."""

import csv
import io

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.ledger.export import OPENAI_COLUMNS, openai
from efficiency_bench.ledger.importers import import_file_or_folder
from efficiency_bench.ledger.store import content_digest
from tests.ledger.factory import make_entry, make_target

PUBLISHED = (
    # Hernandez & Brown 2020, table 3 and OpenAI's blog of the same month
    (
        "AlexNet",
        "6/1/2012",
        "AlexNet",
        "https://example.org/a",
        "3.1",
        "1",
        "AI and Efficiency",
        "",
    ),
    ("AlexNet", "9/17/2014", "GoogLeNet", "", "0.71", "4.3", "AI and Efficiency", ""),
    ("AlexNet", "5/28/2019", "EfficientNet", "", "0.069", "44", "EfficientNet", ""),
    ("ResNet-50", "5/28/2019", "EfficientNet", "", "0.75", "10", "EfficientNet", ""),
    ("Seq2Seq", "1/12/2017", "Transformer (Base)", "", "8", "61", "AI and Efficiency", ""),
)


def written(folder, rows=PUBLISHED, columns=OPENAI_COLUMNS):
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    (folder / "efficiency_sota.csv").write_text(text.getvalue())
    return folder / "efficiency_sota.csv"


def imported(path, **options):
    return import_file_or_folder("openai", path, **options)


def test_a_row_gives_the_compute_and_everything_else_is_unknown(tmp_path):
    entry = imported(written(tmp_path)).entries[0]
    assert (entry.tier, entry.run_id) == (
        "published",
        "published-openai-AlexNet-AlexNet-2012-06-01",
    )
    assert (entry.model, entry.date, entry.reached) == ("alexnet", "2012-06-01", True)
    assert (entry.paper3x_tfs_days, entry.paper3x_to_target_tfs_days) == (3.1, 3.1)
    assert (entry.images, entry.steps, entry.epochs, entry.forward_macs) == (None,) * 4
    assert (entry.exact_flops, entry.sustained_crossing_epochs) == (None, None)
    assert (entry.evaluations, entry.segments) == ((), ())
    assert entry.source.startswith("efficiency_sota.csv, github.com/openai/ai-and-efficiency")
    assert entry.entry_digest == content_digest(entry)


def test_only_image_levels_are_imported_and_the_others_are_reported(tmp_path):
    got = imported(written(tmp_path))
    targets = [(e.target.metric, e.target.value) for e in got.entries]
    assert targets == [("top5", 0.791)] * 3 + [("top5", 0.929)]
    (skipped,) = got.skipped
    assert str(skipped).startswith("efficiency_sota.csv, line 6: Seq2Seq")


def test_the_compute_ratio_of_the_first_and_the_last_row_is_the_papers_44(tmp_path):
    first, *_, last, _ = imported(written(tmp_path)).entries
    assert first.paper3x_tfs_days / last.paper3x_tfs_days == pytest.approx(44.9, abs=0.05)


def test_metric_and_target_choose_a_level(tmp_path):
    got = imported(written(tmp_path), metric="top5", target=0.929)
    assert [e.experiment for e in got.entries] == ["EfficientNet"]
    assert len(got.skipped) == 4
    assert imported(written(tmp_path), metric="top1").entries == ()
    with pytest.raises(UserError, match="leave it out"):
        imported(written(tmp_path), model="resnet50")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (1, "2014-09-17"),
        (1, "2/30/2014"),
        (1, ""),
        (2, " "),
        (4, "0"),
        (4, "-1"),
        (4, "0,71"),
        (4, "inf"),
        (4, "1e999"),
        (4, ""),
    ],
)
def test_a_malformed_row_is_skipped_and_reported(tmp_path, column, value):
    row = list(PUBLISHED[1])
    row[column] = value
    got = imported(written(tmp_path, [PUBLISHED[0], row, PUBLISHED[2]]))
    assert [e.experiment for e in got.entries] == ["AlexNet", "EfficientNet"]
    assert [(s.path, s.line) for s in got.skipped] == [("efficiency_sota.csv", 3)]


def test_a_row_with_missing_columns_or_an_open_quote_is_reported(tmp_path):
    path = written(tmp_path, PUBLISHED[:2])
    path.write_text(path.read_text() + 'AlexNet,9/17/2014,"GoogLeNet\nAlexNet,9/17/2014\n')
    got = imported(path)
    assert len(got.entries) == 2
    assert [s.line for s in got.skipped] == [4, 5]


def dated(*dates):
    """The first row of the leaderboard once for each date."""
    return [
        (row[0], date, f"{row[2]} {n}", *row[3:])
        for n, date in enumerate(dates)
        for row in PUBLISHED[:1]
    ]


@pytest.mark.parametrize(
    ("dates", "why"),
    [
        (("1/6/2012", "17/9/2014"), "line 3: 17/9/2014 is day/month/year"),
        (("5/28/2019", "17/9/2014"), "line 3: 17/9/2014 is day/month/year"),
        (("1/6/2012", "5/5/2014"), "1/6/2012 may be day/month/year"),
    ],
)
def test_ambiguous_dates_reject_the_whole_file(tmp_path, dates, why):
    got = imported(written(tmp_path, dated(*dates)))
    assert got.entries == ()
    (skipped,) = got.skipped
    assert why in skipped.reason
    assert "write all dates as month/day/year" in skipped.reason


@pytest.mark.parametrize(
    ("dates", "read"),
    [
        (("1/6/2012", "5/28/2019"), ["2012-01-06", "2019-05-28"]),  # one shows it for all
        (("5/5/2014",), ["2014-05-05"]),  # the same either way
    ],
)
def test_one_unambiguous_date_settles_the_order_of_all(tmp_path, dates, read):
    assert [entry.date for entry in imported(written(tmp_path, dated(*dates))).entries] == read


def test_our_own_export_needs_no_unambiguous_date(tmp_path):
    path = tmp_path / "ours.csv"
    run = make_entry("run", date="2012-06-01", target=make_target(metric="top1", value=0.6))
    path.write_text(openai([run]).text)
    assert "6/1/2012" in path.read_text()
    assert [entry.date for entry in imported(path).entries] == ["2012-06-01"]


def test_the_real_world_case(cases):
    assert imported(cases / "openai").entries == ()


def test_another_table_is_not_read_as_a_leaderboard(tmp_path):
    got = imported(written(tmp_path, columns=("Metric", *["x"] * 7)))
    assert got.entries == ()
    assert "not a leaderboard" in got.skipped[0].reason


def test_an_export_imports_to_the_same_compute(tmp_path):
    first = imported(written(tmp_path, PUBLISHED[:4])).entries
    text = openai(first).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["Compute (teraflops-s/days)"] for row in rows] == ["3.1", "0.71", "0.069", "0.75"]
    assert [row["Publication Date"] for row in rows] == [row[1] for row in PUBLISHED[:4]]
    assert rows[0]["Publication link"] == "https://example.org/a"
    assert rows[2]["Reduction Factor"] == "44.9"  # of the rounded numbers
    path = tmp_path / "again.csv"
    path.write_text(text)
    kept = ("model", "experiment", "data", "date", "target", "paper3x_to_target_tfs_days")
    again = imported(path)
    assert again.skipped == ()
    for before, after in zip(first, again.entries, strict=True):
        assert [getattr(before, k) for k in kept] == [getattr(after, k) for k in kept]


def test_seeds_of_a_measured_ledger_get_distinct_run_ids(tmp_path):
    target = make_target(metric="top1", value=0.6)
    runs = [make_entry(f"run-{seed}", seed=seed, target=target) for seed in range(3)]
    path = tmp_path / "ours.csv"
    path.write_text(openai(runs).text)
    got = imported(path)
    assert not got.skipped
    assert len({entry.run_id for entry in got.entries}) == 3
    assert {(e.data, e.target.metric, e.target.value) for e in got.entries} == {
        ("digits", "top1", 0.6)
    }
    assert {e.tier for e in got.entries} == {"published"}


def test_imported_entries_fit_into_a_ledger(tmp_path):
    for entry in imported(written(tmp_path)).entries:
        store.append(tmp_path / "ledger", entry)
    read = store.read(tmp_path / "ledger")
    assert len(read.entries) == 4
    assert read.problems == ()
