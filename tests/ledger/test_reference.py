"""The published rows, against the paper's own arithmetic and the leaderboard."""

import csv
import io
from datetime import date

import pytest

from efficiency_bench.ledger.export import OPENAI_COLUMNS, openai, row
from efficiency_bench.ledger.reference import (
    publication_dates,
    published_entries,
    reference_rows,
)
from efficiency_bench.records import TERAFLOPS_DAY
from tests.ledger.factory import make_baseline, make_entry

LEADERBOARD = {  # efficiency_sota.csv, AlexNet level: model -> date, tfs-days, factor
    "alexnet": ("6/1/2012", 3.1, 1),
    "googlenet": ("9/17/2014", 0.71, 4.3),
    "mobilenet_v1": ("4/17/2017", 0.28, 11),
    "shufflenet_v1": ("7/3/2017", 0.15, 21),
    "shufflenet_v2_x1_0": ("6/30/2018", 0.12, 25),
    "efficientnet_b0": ("5/28/2019", 0.069, 44),
}

ENTRIES = {entry.model: entry for entry in published_entries()}


def test_there_are_sixteen_networks():
    assert len(published_entries()) == len(ENTRIES) == 16
    assert {entry.tier for entry in ENTRIES.values()} == {"published"}


@pytest.mark.parametrize("model", ENTRIES)
def test_the_papers_convention_reproduces_each_row(model):
    """3 x epochs x 1.28e6 x G, 1 MAC = 1, is table 3's figure to 0.5 %."""
    entry = ENTRIES[model]
    operations = 3 * entry.epochs * 1.28e6 * entry.forward_macs
    assert 1e15 * float(entry.config["table3_pflop"]) == pytest.approx(operations, rel=0.005)
    digits = len(entry.config["compute_tfs_days"].partition(".")[2])
    half_a_unit = 0.5 * 10**-digits
    allowed = half_a_unit + 0.005 * entry.paper3x_tfs_days
    assert entry.paper3x_tfs_days == pytest.approx(operations / TERAFLOPS_DAY, abs=allowed)


@pytest.mark.parametrize("model", LEADERBOARD)
def test_leaderboard_rows_keep_its_day_and_figures(model):
    printed, compute, factor = LEADERBOARD[model]
    month, day, year = map(int, printed.split("/"))
    entry = ENTRIES[model]
    assert entry.date == date(year, month, day).isoformat()
    assert entry.paper3x_to_target_tfs_days == compute
    assert float(entry.config["reduction_factor"]) == factor


def test_rows_dated_by_month_use_the_middle_of_the_month():
    months = {r["model"]: r["date"] for r in reference_rows() if r["model"] not in LEADERBOARD}
    for model, month in months.items():
        if model:
            assert ENTRIES[model].date == f"{month}-15"


def test_exact_compute_gives_the_known_factors():
    """With exact F the factor is 41.7x, with F + B 40.7x."""
    first, last = ENTRIES["alexnet"], ENTRIES["efficientnet_b0"]
    forward = [e.segments[0].forward_macs * e.segments[0].images for e in (first, last)]
    assert forward[0] / forward[1] == pytest.approx(41.7, abs=0.05)
    assert first.exact_flops / last.exact_flops == pytest.approx(40.7, abs=0.05)


def test_backward_macs_of_alexnet_are_known():
    assert ENTRIES["alexnet"].segments[0].backward_macs == 1_358_100_160


def test_every_reference_row_names_its_source():
    assert len(reference_rows()) == 27
    assert all(line["source"] and line["metric"] for line in reference_rows())


def test_openai_export_reproduces_the_leaderboard():
    exported = openai([ENTRIES[model] for model in LEADERBOARD])
    lines = list(csv.DictReader(io.StringIO(exported.text)))
    assert exported.left_out == ()
    assert tuple(lines[0]) == OPENAI_COLUMNS
    for line, (printed, compute, factor) in zip(lines, LEADERBOARD.values(), strict=True):
        assert line["Metric"] == "AlexNet"
        assert line["Publication Date"] == printed
        assert float(line["Compute (teraflops-s/days)"]) == compute
        assert float(line["Reduction Factor"]) == pytest.approx(factor, rel=0.035)


def test_openai_export_divides_measured_by_measured_only():
    ours = [make_baseline("alexnet-s0"), make_entry("resnet18-s0", crossing_images=2500.0)]
    baseline = ours[1].model_copy(
        update={"target": ours[1].target.model_copy(update={"source": "baseline"})}
    )
    lines = list(csv.DictReader(io.StringIO(openai([ours[0], baseline]).text)))
    assert [float(line["Reduction Factor"]) for line in lines] == [1, 2]
    level = ENTRIES["alexnet"].target
    imagenet = make_entry("ours", data="imagenet", data_digest=None, target=level)
    alone = openai([*published_entries(), imagenet]).text
    assert list(csv.DictReader(io.StringIO(alone)))[-1]["Reduction Factor"] == ""


def test_openai_export_divides_by_one_row_of_the_baseline():
    """Another AlexNet that reached the target, with a later recipe, does not change the factors."""
    own = make_baseline("a-own")
    level = own.target.model_copy(update={"source": "baseline"})
    later = make_entry("a-later", model="alexnet", recipe="small_modern", date="2024-03-30")
    other = make_entry("resnet18-s0", crossing_images=2500.0)
    entries = [e.model_copy(update={"target": level}) for e in (later, other)]
    lines = list(csv.DictReader(io.StringIO(openai([*entries, own]).text)))
    # AlexNet's whole schedule of 5,000 images over 4,000, 2,500 and 5,000 at equal cost per image
    assert [float(line["Reduction Factor"]) for line in lines] == [1.25, 2, 1]


def test_openai_export_omits_budgeted_trials_and_the_list_marks_them():
    trial = make_entry("trial", estimand="budgeted")
    exported = openai([trial, make_entry("run")])
    assert exported.left_out == ("trial: a budgeted trial, charged its whole schedule",)
    assert len(list(csv.DictReader(io.StringIO(exported.text)))) == 1
    assert [row(entry)["estimand"] for entry in (trial, make_entry("run"))] == [
        "budgeted",
        "anytime",
    ]


def test_published_rows_have_no_steps():
    """Table 3 prints epochs; 0 steps would be a claim."""
    assert {(entry.steps, row(entry)["steps"]) for entry in published_entries()} == {(None, None)}


def test_openai_export_lists_the_entries_it_leaves_out():
    exported = openai(
        [make_entry("missed", crossing_images=None), make_entry("undated", date=None)]
    )
    assert exported.left_out == ("missed: did not reach its target", "undated: has no date")
    assert exported.text.strip() == ",".join(OPENAI_COLUMNS)


def test_listed_row_has_exactly_the_fixed_keys():
    keys = """
        run_id experiment model recipe data seed tier end_reason reached target images epochs
        steps forward_macs paper3x_tfs_days exact_flops paper3x_to_target_tfs_days
        first_crossing_epochs sustained_crossing_epochs first_epoch_at_target weights_digest
        date source estimand budget budget_asked scale inner_split recipe_lr train_seconds
        images_per_second achieved_flops_per_second share_of_peak energy_joules dollars
    """
    listed = row(make_entry("a"))
    assert sorted(listed) == sorted(keys.split())
    assert listed["target"] == {"metric": "top1", "value": 0.9}


ARXIV_V1 = {  # day of the first version; the month is checked against the id below
    "googlenet": "2014-09-17",
    "vgg11": "2014-09-04",
    "resnet18": "2015-12-10",
    "squeezenet1_1": "2016-02-24",
    "wide_resnet50_2": "2016-05-23",
    "densenet121": "2016-08-25",
    "resnext50_32x4d": "2016-11-16",
    "mobilenet_v1": "2017-04-17",
    "shufflenet_v1": "2017-07-04",
    "mobilenet_v2": "2018-01-13",
    "shufflenet_v2_x1_0": "2018-07-30",
    "efficientnet_b0": "2019-05-28",
}


def test_every_network_has_its_three_dates():
    dates = publication_dates()
    assert set(dates) == set(ENTRIES)
    for model, day in ARXIV_V1.items():
        assert dates[model].preprint == day
    for model, entry in ENTRIES.items():
        assert dates[model].printed == entry.date
        assert date.fromisoformat(dates[model].preprint) <= date.fromisoformat(
            dates[model].conference
        )


def test_a_network_without_preprint_or_conference_date_uses_the_other():
    dates = publication_dates()
    assert dates["alexnet"].preprint == dates["alexnet"].conference == "2012-12-03"
    for model in ("mobilenet_v1", "squeezenet1_1"):
        assert dates[model].conference == dates[model].preprint


def test_the_arxiv_id_agrees_with_the_day():
    """An id begins with year and month: 1409.4842 is from September 2014."""
    lines = [line for line in reference_rows() if line["preprint_date"]]
    assert len(lines) == 21
    for line in lines:
        year_month = line["date_source"].split()[1].partition(".")[0]
        assert line["preprint_date"][2:7].replace("-", "") == year_month
        if line["model"] and line["model"] not in LEADERBOARD:
            assert line["preprint_date"].startswith(line["date"])


def test_printed_dates_are_the_leaderboards():
    for line in reference_rows():
        if line["model"] in LEADERBOARD:
            month, day, year = map(int, LEADERBOARD[line["model"]][0].split("/"))
            assert line["printed_date"] == date(year, month, day).isoformat()
