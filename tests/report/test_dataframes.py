"""The exported tables in pandas and polars, opened as docs/export.md writes it."""

import csv
import datetime

import pytest

from efficiency_bench.ledger.reference import CSV_NAME, published_entries
from efficiency_bench.report.export.package import write_package
from efficiency_bench.report.export.tables import TABLES
from tests.docs.pages import ROOT, blocks

OPENERS = [b.body for b in blocks(ROOT / "docs" / "export.md") if b.language == "python"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with the exported rows of 2020 in DIR."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: make env")
    folder = tmp_path_factory.mktemp("exported")
    write_package([make(published_entries()) for make in TABLES.values()], folder / "DIR")
    return folder


def published():
    """MACs per image by network, as the table of 2020 has them."""
    with (ROOT / "runs" / "reference" / CSV_NAME).open(encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file) if row["model"]}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_two_lines_open_a_table(exported, monkeypatch, library):
    pytest.importorskip(library, reason=f"{library} is not installed: make env")
    monkeypatch.chdir(exported)
    (opener,) = (lines for lines in OPENERS if library in lines)
    assert len([line for line in opener.splitlines() if line]) == 2
    found = {}
    exec(opener, found)
    columns = {name: list(found["rows"][name]) for name in found["rows"].columns}
    assert set(columns["model"]) == set(published())
    first = columns["model"].index("alexnet")
    assert columns["date"][first] == datetime.date(2012, 6, 1)
    assert columns["forward_macs"][first] == float(published()["alexnet"]["forward_macs"])
    assert {type(value) for value in columns["seeds"]} == {int}

    csv_read = found[library].read_csv("DIR/rows.csv")
    assert list(csv_read.columns) == list(columns)
    assert list(csv_read["compute_tfs_days"]) == pytest.approx(columns["compute_tfs_days"])
    assert list(csv_read["fitted"]) == columns["fitted"]
