"""The verbs that read a ledger print the same for a zip of it as for its folder."""

import json
import shutil

import pytest

from efficiency_bench.ledger import store
from efficiency_bench.ledger.reference import published_entries
from tests.cli.users import refused
from tests.ledger.recorded import LEDGER, REACHED


@pytest.fixture
def zipped(tmp_path):
    """Two ledgers as folders and as zip files: the rows of 2020, and runs with their logs."""
    for entry in published_entries():
        store.append(tmp_path / "rows", entry)
    shutil.copytree(LEDGER, tmp_path / "runs")
    for name in ("rows", "runs"):
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path / name)


@pytest.mark.usefixtures("zipped")
def test_fit_and_report_read_a_zip(typed, tmp_path):
    fitted = json.loads(typed("fit", "rows.zip", "--json").stdout)
    assert fitted["halving_months"] == pytest.approx(15.7, abs=0.05)  # README, published rows
    assert typed("report", "--ledger", "rows.zip", "--out", "out").stdout == "out/index.html\n"
    assert "15.7 months" in (tmp_path / "out" / "index.html").read_text("utf-8")


@pytest.mark.usefixtures("zipped")
@pytest.mark.parametrize(
    "words",
    [
        "ledger list --json --ledger",
        f"ledger show {REACHED} --ledger",
        "ledger crossings --json --ledger",
        "ledger costs --json --ledger",
        "ledger export --table curves --ledger",
        f"verify {REACHED} --json --ledger",
    ],
)
def test_the_other_verbs_print_what_they_print_of_the_folder(typed, words):
    zipped, folder = (typed(*words.split(), place) for place in ("runs.zip", "runs"))
    assert zipped.stdout == folder.stdout
    assert REACHED in zipped.stdout
    assert "no such" not in zipped.stdout
    assert zipped.returncode == folder.returncode


def test_a_file_that_is_no_zip_is_refused(typed, tmp_path):
    (tmp_path / "table.csv").write_text("run_id\n")
    for words in (
        ("fit", "table.csv"),
        ("report", "--out", "out", "--ledger", "table.csv"),
        ("verify", "--ledger", "table.csv"),
    ):
        refused(typed(*words), "table.csv cannot be read as a zip file", "zip -r")
