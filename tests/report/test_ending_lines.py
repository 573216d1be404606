"""The last lines that a run prints."""

from __future__ import annotations

import pytest

from efficiency_bench.run.terminal import ending_line
from tests.ledger.factory import make_entry, make_evaluation, make_target


def line(first: int | None, sustained: int | None) -> str:
    """Of a run whose evaluations lie at 1,000 and 2,000 images; target 90 %."""
    entry = make_entry(
        "r",
        images=2000,
        target=make_target(value=0.9),
        crossing_images=sustained,
        first_crossing_images=first,
        evaluations=(make_evaluation(1000, 0.5), make_evaluation(2000, 0.95)),
    )
    return ending_line(entry)


@pytest.mark.parametrize(
    ("first", "sustained", "words", "not_words"),
    [
        (None, None, "NOT reached 90.00 %", "held"),
        (1500, None, "reached but NOT held 90.00 %", "NOT reached"),
        (1500, 1500, "reached 90.00 % at epoch", "first evaluation"),
        (1000, 1000, "reached 90.00 % by epoch", "NOT"),
    ],
)
def test_a_run_reports_its_crossing_and_the_interval(first, sustained, words, not_words):
    said = line(first, sustained)
    assert words in said
    assert not_words not in said
    assert ("its first evaluation" in said) is (sustained == 1000)
