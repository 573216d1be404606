"""The page of a large ledger: a few runs of many are on it, and the fits use all."""

import json

import pytest

from efficiency_bench.report.page import page
from efficiency_bench.report.page.results import set_results
from efficiency_bench.report.sample import sample
from tests.fitting.curve_factory import planted
from tests.report.page_reader import Page

RUNS = 2000


@pytest.fixture(scope="module")
def ledger():
    """The planted networks, each with hundreds of seeds, and the results of their sets."""
    originals = planted(16.0)
    entries = [
        originals[i % len(originals)].model_copy(
            update={"run_id": f"run-{i:05}", "seed": i, "config": {"seed": i, "name": f"s{i}"}}
        )
        for i in range(RUNS)
    ]
    return entries, set_results(entries, "published")


@pytest.fixture
def written(ledger, tmp_path, monkeypatch):
    """Write the page with the given limits; the images, which take seconds, are left out."""
    entries, results = ledger
    monkeypatch.setattr(page, "set_results", lambda *_: results)
    monkeypatch.setattr(page, "write_images", lambda *_: None)

    def write(*most_shown, largest=page.LARGEST_BYTES):
        monkeypatch.setattr(page, "MOST_SHOWN", most_shown)
        monkeypatch.setattr(page, "LARGEST_BYTES", largest)
        return page.write_page(entries, "published", tmp_path).read_text(encoding="utf-8")

    return write


@pytest.mark.slow
def test_the_page_says_how_many_runs_it_shows_and_the_fit_uses_all(ledger, written):
    text = written(50)
    assert f"50 of {RUNS:,} runs shown" in text
    assert "ledger export --table runs" in text
    read = Page(text)
    assert len(read.all("details", **{"class": "run"})) == 50
    data = json.loads(read.one("script", id="page-data").text)
    assert len(data["runs"]) == 50
    assert data["total"] == RUNS
    drawn = [run for chart in data["charts"].values() for run, _ in chart["curves"]]
    assert drawn
    assert set(drawn) <= set(data["runs"])
    (result,) = ledger[1]
    assert sum(row["seeds"] for row in result.halving.rows) == RUNS
    assert result.halving.halving_months == pytest.approx(16.0, rel=1e-6)


@pytest.mark.slow
def test_the_page_stays_below_its_largest_size_at_any_number_of_runs(written):
    few, many = (len(written(most).encode()) for most in (100, 300))
    a_run = (many - few) / 200  # a run, and one more row of each table
    fixed = few - 100 * a_run
    assert fixed + 1000 * a_run < page.LARGEST_BYTES
    assert len(written(1000).encode()) < page.LARGEST_BYTES
    # were the runs larger, fewer would be shown
    largest = round((few + many) / 2)
    text = written(300, 100, 30, largest=largest)
    assert len(text.encode()) <= largest
    assert f"100 of {RUNS:,} runs shown" in text


def test_a_sample_keeps_the_first_ones_and_spaces_the_others_evenly():
    assert sample(range(12), 4) == [0, 3, 6, 9]
    assert sample(range(12), 4, lambda i: i in (10, 11)) == [0, 5, 10, 11]
    assert sample(range(12), 2, lambda i: i > 5) == [6, 9]
    assert sample(range(3), 4) == [0, 1, 2]
