"""The terminal's tables: their content, and that they fit 80 columns."""

import re
from pathlib import Path

import pytest

from efficiency_bench.fitting.fit import fit
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.ledger import store
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.report.tables.audit import print_models
from efficiency_bench.report.tables.fit_and_ledger import compute_text, ledger_table, print_fit
from tests.fitting.test_ladder_rows import ledger as ladder_ledger
from tests.report import results
from tests.report.printing import printed

LEDGER = Path(__file__).parents[2] / "runs" / "ledger"
DATE = re.compile(r" 20\d\d-\d\d-\d\d ")


@pytest.mark.parametrize("result", [results.published(), results.rehearsal()])
def test_a_fit_fits_80_columns_with_all_numbers(result):
    text = printed(lambda console: print_fit(result, console))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for row in result.rows:
        assert row["model"] in text
        assert row["date"] in text


def test_a_fit_reads_like_the_papers_table():
    text = printed(lambda console: print_fit(results.published(), console))
    (alexnet,) = [line for line in text.splitlines() if "alexnet" in line]
    assert alexnet.split() == ["*", "alexnet", "2012-06-01", "3.10", "1.00", "90.0", "770", "1/1"]
    (efficientnet,) = [line for line in text.splitlines() if "efficientnet_b0" in line]
    assert efficientnet.split()[3:5] == ["0.0690", "44.9"]
    (vgg,) = [line for line in text.splitlines() if "vgg11" in line]
    assert "*" not in vgg
    flat = " ".join(text.split())
    for words in (
        "halves every 15.7 months (95 % interval 13.2 to 19.3 months)",
        "least squares on the frontier, the method of 2020: n = 6",
        "this method because: published rows",
        "MACs per image are 48 % and images to the target 52 %",
        "6 of 6 rows arrived",
        "by the other method, censored regression, n = 16: halving, 13.7 months",
        "44.9x less compute in 7.0 years",
        "16 months of the 2020 paper",
        "Moore's law (24 months) 11.3x",
    ):
        assert words in flat


def test_missed_seeds_are_shown():
    text = printed(lambda console: print_fit(results.rehearsal(), console))
    table = {line.strip("* ").split()[0]: line.split() for line in text.splitlines()[2:9]}
    assert table["shufflenet_v2_x1_0"][-1] == "2/3"
    # 8 MMAC over 15,000 images: 3 x 8e6 x 15000 / 8.64e16
    missed = ["efficientnet_b0", "2019-05-28", ">", "4.17e-6", "-", "-", "8.00", "0/3"]
    assert table["efficientnet_b0"] == missed
    flat = " ".join(text.split())
    assert "> never reached: compute spent" in flat
    assert "never reached the target: efficientnet_b0 small_plain" in flat


def test_a_censored_fit_counts_reached_rows_and_shows_the_frontier_too():
    text = printed(lambda console: print_fit(results.rehearsal("censored"), console))
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for words in (
        "censored regression over all rows: n = 5",
        "this method because: requested by --method censored",
        "4 of 5 rows arrived at the target",
        "it does not cover the target's own error: runs stop at the target",
        "no search for learning rates is recorded",
        "by the other method, least squares on the frontier",
    ):
        assert words in flat


def test_ladders_fit_80_columns_with_intervals_and_bounds():
    result = fit(ladder_ledger(), Selection(axis="architecture"))
    text = printed(lambda console: print_fit(result, console))
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for words in ("4.34-8.68e-8", "≤ 2.17e-8", "> 1.74e-7", "A-B: a budget of A missed"):
        assert words in flat


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (5.8e-6, 1.16e-5, "0.58-1.16e-5"),
        (0.21, 0.42, "0.210-0.420"),
        (2e-8, 1.28e-6, "2.00e-8 to 1.28e-6"),
    ],
)
def test_an_interval_of_compute_keeps_its_digits(low, high, text):
    row = {"censoring": "interval", "compute_at_least": low, "compute": high}
    assert compute_text(row) == text


def test_no_name_of_the_committed_ladders_is_broken():
    for data in ("cifar10", "cifar100"):
        result = fit(store.read(LEDGER).entries, Selection(data=data))
        text = printed(lambda console, result=result: print_fit(result, console))
        rows = [line.split() for line in text.splitlines() if DATE.search(line)]
        names = [row[1] if row[0] == "*" else row[0] for row in rows]
        assert names == [row["model"] for row in result.rows]


def test_the_ledger_fits_80_columns():
    entries = [*results.rehearsal_entries(), *published_entries()]
    text = printed(lambda console: console.print(ledger_table(entries)))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    (missed,) = [line for line in text.splitlines() if "efficientnet_b0-digits-s1" in line]
    assert missed.split()[-6:] == ["not", "reached", "97.13", "%", "-", "-"]
    (baseline,) = [line for line in text.splitlines() if "alexnet-digits-s1" in line]
    # the whole schedule: 3 x 11e6 x 15000 / 8.64e16
    assert baseline.split()[-2:] == ["15.0", "5.73e-6"]


def test_models_fit_80_columns():
    row = {
        "name": "shufflenet_v2_x1_0",
        "form": "imagenet",
        "published": "2018-07-30",
        "paper": "Ma, Zhang, Zheng, Sun 2018, ShuffleNet V2, arXiv:1807.11164",
        "params": 2_278_604,
        "resolution_px": 224,
        "forward_macs": 144_907_992,
        "first_layer_macs": 8_128_512,
        "backward_macs": 281_687_472,
        "resolutions": {
            "160": {"forward_macs": 10**8, "first_layer_macs": 10**7, "backward_macs": 19 * 10**7}
        },
    }
    text = printed(lambda console: print_models([row], console))
    assert max(map(len, text.splitlines())) <= 80
    *_, paper, own, other = text.splitlines()
    assert "arXiv:1807.11164" in paper
    name, *cells = own.split()
    assert [name, *cells[:3]] == ["shufflenet_v2_x1_0", "imagenet", "2018-07-30", "2,278,604"]
    assert cells[3:] == ["224", "144.9", "5.61", "1.944"]  # 8.13/144.91 and 281.69/144.91
    assert other.split() == ["160", "100.0", "10.00", "1.900"]
