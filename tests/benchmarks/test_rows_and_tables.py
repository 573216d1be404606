"""Benchmark output: the keys of a row, the growth exponent, and tables between markers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside(monkeypatch):
    """Benchmarks are scripts, and import each other as neighbours."""
    monkeypatch.syspath_prepend(str(FOLDER))


def script(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_has_the_keys_and_the_medians_of_its_pairs():
    row = script("rows").row("a/b", "seconds", [(1.0, 2.0), (9.0, 3.0), (4.0, 4.0)])
    assert list(row)[:5] == ["name", "ours", "other", "unit", "ratio"]
    assert (row["ours"], row["other"], row["ratio"], row["pairs"]) == (4.0, 3.0, 1.0, 3)
    assert (row["low"], row["high"]) == (0.5, 3.0)
    assert {"cpu", "cores", "memory_bytes", "torch", "load_1min"} <= row["machine"].keys()
    json.dumps(row, allow_nan=False)


def test_the_order_within_pairs_alternates():
    order = []
    pairs = script("rows").interleaved(
        lambda: order.append("ours") or 1.0, lambda: order.append("other") or 2.0, 3
    )
    assert list(pairs) == [(1.0, 2.0)] * 3
    assert order == ["ours", "other", "other", "ours", "ours", "other"]


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
def test_the_exponent_matches_the_growth(power):
    scale = script("scale")
    assert scale.exponent([(n, 3 * n**power) for n in (10, 1000, 4000)]) == pytest.approx(power)
    assert scale.exponent([(10, 1.0)]) is None


ROW = {
    "name": "startup/fit",
    "ours": 1.23456,
    "other": 0.1,
    "unit": "seconds",
    "ratio": 12.3456,
    "low": 11.0,
    "high": 13.0,
    "pairs": 5,
    "machine": {
        "cpu": "Any CPU",
        "cores": 2,
        "memory_bytes": 2**33,
        "torch": "2",
        "python": "3",
        "load_1min": 1.0,
    },
}
PAGE = """# Page

<!-- table: startup -->
old
<!-- end -->

Between.

<!-- table: loaders -->
somebody else's
<!-- end -->
"""


def test_only_the_text_between_the_markers_is_replaced(tmp_path):
    write_tables = script("write_tables")
    (tmp_path / "startup.json").write_text(json.dumps([ROW]))
    page, left = write_tables.written(PAGE, tmp_path)
    assert left == ["loaders"]
    assert "old" not in page
    assert "| fit | 1.235 | 0.1 | seconds | 12.3 (11 to 13) | 5 |" in page
    assert "Any CPU, 2 cores, 8 GiB" in page
    assert page.endswith(PAGE[PAGE.index("\nBetween.") :])
    assert write_tables.written(page, tmp_path)[0] == page, "written again, it is the same"


def test_the_opponents_are_named_once_below_the_table():
    rows = [{**ROW, "opponent": name} for name in ("timm 1.0, train.py", "timm 1.0, train.py", "b")]
    assert script("write_tables").table(rows).endswith("Other: timm 1.0, train.py; b.\n")
    assert "Other" not in script("write_tables").table([ROW])


def test_growth_is_compared_with_linear_growth():
    row = script("scale").growth("scale/page", "MB", "entries", {10: 2.0, 1000: 4.0})
    assert (row["ours"], row["other"], row["ratio"]) == (4.0, 200.0, 0.02)
    assert row["unit"] == "MB for 1000 entries, other: 10 scaled up"


def test_growth_has_a_column_of_its_own():
    table = script("write_tables").table([{**ROW, "exponent": 1.037}, {**ROW, "exponent": None}])
    header, rule, first, second, *_ = table.splitlines()
    assert header.endswith("| exponent |")
    assert first.endswith("| 1.04 |")
    assert len({line.count("|") for line in (header, rule, first, second)}) == 1
