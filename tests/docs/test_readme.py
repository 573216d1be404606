"""What the README states of the published rows is what `fit published` gives; it stays short."""

import re

import efficiency_bench
from tests.docs.pages import ROOT

LONGEST = 120
"""Lines: a stranger reads the page to its end."""


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= LONGEST


def test_the_row_and_the_picture_of_the_published_rows_are_the_fits():
    fit = efficiency_bench.fit(efficiency_bench.ledger.read("published").entries)
    months = f"{fit.halving_months:.1f} ({fit.low_months:.1f} to {fit.high_months:.1f})"
    cells = f"| {months} | {fit.reduction_factor:.1f}x | {fit.n} |"
    (row,) = re.findall(r"^\| published in 2020.*$", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert row.endswith(cells)
    picture = (ROOT / "docs" / "halving.svg").read_text("utf-8")
    stated = (
        f"halves every {fit.halving_months:.1f} months (95 % interval {fit.low_months:.1f} to"
        f" {fit.high_months:.1f} months)"
    )
    assert stated in picture, "efficiency-bench fit published --chart docs, and keep halving.svg"
