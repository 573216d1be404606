"""Ladders in the report: the table of final accuracies, and the chart of them."""

from types import SimpleNamespace

import pytest

from efficiency_bench.fitting.width_elasticity import WidthElasticity
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.records import Target
from efficiency_bench.report.charts.ladder_chart import ladder_chart
from efficiency_bench.report.charts.style import WIDE
from efficiency_bench.report.page.charts import charts
from efficiency_bench.report.page.page import write_page
from efficiency_bench.report.page.results import set_results
from efficiency_bench.report.page.sections import parts
from efficiency_bench.report.page.width import width_sentences
from efficiency_bench.report.tables.ladders import compared, ladder_lines, ladders_table, share
from tests.fitting.rungs import baselines, ladder, ledger, planted, rung

LEVEL = Target(metric="top1", value=0.8, confirmations=0, source="setting")


def drawn(entries):
    chart = ladder_chart(ladder_lines(entries, "top1"), LEVEL, "digits", WIDE)
    return None if chart is None else chart.to_dict()


def test_a_line_for_each_network_by_date_with_the_mean_over_seeds():
    further = rung("resnet18", 0.5, 0.95, "2015-12-10", seed=1)
    lines = ladder_lines([further, *ledger()], "top1")
    assert [line.name for line in lines] == ["alexnet", "vgg11", "resnet18", "mobilenet_v2"]
    assert lines[0].accuracies == {1.0: pytest.approx(0.8)}
    expected = {0.125: 0.6, 0.25: 0.75, 0.5: (0.85 + 0.95) / 2, 1.0: 0.9}
    assert lines[2].accuracies == pytest.approx(expected)
    assert list(lines[2].accuracies) == sorted(expected)


def test_scales_and_recipes_are_named_where_they_tell_lines_apart():
    wide = ladder("resnet18", "2015-12-10", (0.7, 0.82, 0.9, 0.95), model_config={"scale": 2.0})
    other = ladder("resnet18", "2015-12-10", (0.7, 0.8, 0.9, 0.95), recipe="small_modern")
    names = {line.name for line in ladder_lines([*ledger(), *wide], "top1")}
    assert "resnet18 at 2" in names
    names = {line.name for line in ladder_lines([*ledger(), *other], "top1")}
    assert {"resnet18 small_2020", "resnet18 small_modern"} <= names


def test_the_table_marks_rungs_that_were_not_run():
    table = ladders_table(ladder_lines(ledger(), "top1"))
    assert [str(column.header) for column in table.columns] == ["network", "1/8", "1/4", "1/2", "1"]
    cells = list(zip(*(map(str, column.cells) for column in table.columns), strict=True))
    assert cells[0] == ("alexnet", "-", "-", "-", "80.0")
    assert cells[1] == ("vgg11", "50.0", "60.0", "70.0", "75.0")


@pytest.mark.parametrize(
    ("budget", "text"),
    [(1, "1"), (0.5, "1/2"), (0.015625, "1/64"), (0.04, "1/25"), (0.3, "0.3"), (2.0, "2")],
)
def test_a_share_is_written_as_a_unit_fraction_where_it_is_one(budget, text):
    assert share(budget) == text


def test_the_chart_has_every_rung_and_the_level():
    spec = drawn(ledger())
    level, line, _ = spec["layer"]
    assert level["data"]["values"] == [{"accuracy": 80.0}]
    points = {(p["network"], p["share"]): p["accuracy"] for p in line["data"]["values"]}
    assert len(points) == 1 + 3 * 4
    assert points["vgg11, 2014", "1/4"] == 60.0
    labels = line["encoding"]["x"]["axis"]["labelExpr"]
    assert all(f"'{text}'" in labels for text in ("1/8", "1/4", "1/2", "1"))
    assert drawn(baselines(0.79, 0.81)) is None


def test_the_chart_leaves_other_scales_and_recipes_to_the_table():
    wide = ladder("resnet18", "2015-12-10", (0.7, 0.82, 0.9, 0.95), model_config={"scale": 2.0})
    other = ladder("resnet18", "2015-12-10", (0.7, 0.8, 0.9, 0.95), recipe="small_modern")
    (found,) = set_results([*ledger(), *wide, *other], "published")
    (chart,) = [chart for chart in charts(found) if chart.part == "ladders"]
    assert chart.remark == "4 ladders are drawn; the table has 2 more"
    assert {point["network"] for point in chart.specs["wide"]["layer"][1]["data"]["values"]} == {
        "alexnet, 2012",
        "vgg11, 2014",
        "resnet18, 2015",
        "mobilenet_v2, 2018",
    }
    (table,) = next(part for part in parts(found) if part.name == "ladders").tables
    assert len(table.rows) == 6
    assert [e.recipe for e in compared(other)] == ["small_modern"] * 4


def test_the_page_shows_ladders_only_where_runs_had_budgets(tmp_path):
    page = write_page(ledger(), "published", tmp_path / "with").read_text()
    assert "Accuracy for equal compute" in page
    assert (tmp_path / "with" / "1-digits-top-1-80-ladders.svg").exists()
    page = write_page(published_entries(), "published", tmp_path / "without").read_text()
    assert "Accuracy for equal compute" not in page


def lines_of(entries):
    (found,) = set_results(entries, "published")
    return next(part for part in parts(found) if part.name == "headline").lines


def test_the_page_says_what_widths_cost_and_first_of_all_if_it_is_much():
    low, high = lines_of(planted(lambda scale: 0.5)), lines_of(planted(lambda scale: 0.5 * scale))
    (said,) = [line for line in low[1:] if line.startswith("Width elasticity 0.00 (")]
    assert "-0.51 to 0.51" in said  # wider than half on either side
    assert "too uncertain" in said
    assert high[0].startswith("Width elasticity 1.00 (")
    assert "a large part of any trend" in high[0]
    assert [line for line in lines_of(ledger()) if "was not measured" in line]


@pytest.mark.parametrize(
    ("slope", "low", "high", "says"),
    [
        (0.1, -0.2, 0.4, "matter little"),
        (0.4, -0.5, 1.3, "too uncertain"),
        (0.1, None, 0.4, "too uncertain"),
        (-0.8, -1.2, -0.6, "too uncertain"),
        (0.6, 0.1, 1.1, "a large part of any trend"),
    ],
)
def test_the_verdict_on_widths_says_no_more_than_the_interval(slope, low, high, says):
    width = WidthElasticity(slope, low, high, 6, ("resnet18", "vgg11"))
    (sentence,) = width_sentences(SimpleNamespace(width=width, ladders=("some",)))
    assert says in sentence


def test_a_run_that_diverged_counts_at_chance_and_one_that_failed_not_at_all():
    first, second, *others = ladder("vgg11", "2014-09-04", (0.5, 0.6, 0.7, 0.75))
    diverged = first.model_copy(update={"end_reason": "diverged"})
    failed = second.model_copy(update={"end_reason": "failed"})
    (line,) = ladder_lines([diverged, failed, *others], "top1")
    assert line.accuracies == {0.125: 0.1, 0.5: 0.7, 1.0: 0.75}
