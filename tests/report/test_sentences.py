"""The result in words, for every verdict."""

import pytest

from efficiency_bench.formatting import number, percent
from efficiency_bench.report.sentences import (
    along,
    basis,
    comparison,
    fitted_months,
    goal,
    headline,
)
from tests.report import results


@pytest.mark.parametrize(
    ("computes", "words"),
    [
        ((8.0, 4.2, 1.9), "halves every"),
        ((8.0, 1.0, 7.0, 2.0), "not shown to halve: the best estimate halves every"),
        ((2.0, 7.0, 1.0, 8.0), "not shown to halve: the best estimate rises, doubling every"),
        ((3.0, 3.0, 3.0), "not shown to halve: the best estimate is no change"),
        ((1.0, 2.0, 4.1, 8.0), "does not halve: it rises, doubling every"),
    ],
)
def test_each_verdict_has_its_sentence(computes, words):
    assert headline(results.of_computes(*computes)).startswith(words)


def test_growing_compute_is_reported_as_growth():
    assert comparison(results.of_computes(1.0, 2.0, 4.1, 8.0)).startswith("8x more compute")


@pytest.mark.parametrize("open_end", [None, "slope_low_per_month", "slope_high_per_month"])
def test_the_factor_of_the_censored_regression_has_the_interval_of_its_rate(open_end):
    """Over m months a halving every H is a factor of 2 to the m/H."""
    halving = results.rehearsal("censored")
    assert halving.halving_months is not None
    assert halving.low_months is not None
    assert halving.high_months is None
    months = fitted_months(halving)
    fastest = f"{2 ** (months / halving.low_months):.2g}x"
    rise = halving.slope_high_per_month
    assert rise is not None
    assert rise > 0
    least = f"{1 / 2 ** (rise * months):.2g}x"
    expected = {
        None: f"{least} to {fastest}",
        "slope_low_per_month": f"at least {least}",
        "slope_high_per_month": f"at most {fastest}",
    }
    if open_end is not None:
        halving = halving.model_copy(update={open_end: None})
    words = f"{2 ** (months / halving.halving_months):.3g}x less compute in 7.0 years"
    interval = f"(along the line, 95 % interval {expected[open_end]});"
    assert comparison(halving).startswith(f"{words} {interval}")


def test_the_factor_of_rising_compute_has_its_interval_the_other_way_round():
    """Mirrored in time, so that compute rises as fast as it fell, the same factors are `more`."""
    halving = results.rehearsal("censored")
    low, high = halving.slope_low_per_month, halving.slope_high_per_month
    assert low is not None
    assert high is not None
    assert halving.reduction_factor is not None
    mirrored = {
        "slope_low_per_month": -high,
        "slope_high_per_month": -low,
        "reduction_factor": 1 / halving.reduction_factor,
    }
    rising = comparison(halving.model_copy(update=mirrored))
    assert rising == comparison(halving).replace("less compute", "more compute")


def test_without_an_end_any_factor_is_possible():
    halving = results.rehearsal("censored")
    ends = {"slope_low_per_month": None, "slope_high_per_month": None}
    assert along(halving.model_copy(update=ends)).endswith("95 % interval any factor")


def test_the_basis_names_every_choice():
    text = basis(results.of_computes(8.0, 4.2, 1.9, currency="exact", crossing="first"))
    for words in (
        "n = 3",
        "all rows that arrived",
        "anytime",
        "first crossing",
        "exact FLOPs",
        "measured",
    ):
        assert words in text


def test_the_target_is_in_percent():
    assert goal(results.published()) == "imagenet, top-5 79.1 %"
    assert [percent(p) for p in (1.0, 0.5, 0.97131, 0.0)] == ["100 %", "50 %", "97.13 %", "0 %"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (3.1, "3.10"),
        (0.069, "0.0690"),
        (44.93, "44.9"),
        (770, "770"),
        (11460, "11460"),
        (1.3889e-6, "1.39e-6"),
        (5.7e17, "5.70e17"),
        (0.001, "0.00100"),
        (99999, "99999"),
    ],
)
def test_numbers_keep_three_digits(value, text):
    assert number(value) == text
