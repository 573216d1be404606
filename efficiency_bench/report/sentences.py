"""Sentences about a halving time, shared by the terminal, the chart and the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

from efficiency_bench.fitting.halving import MOORE_MONTHS, PAPER_2020_MONTHS, HalvingTime
from efficiency_bench.fitting.rows import DAYS_PER_MONTH
from efficiency_bench.formatting import number, percent


@dataclass(frozen=True)
class Words:
    """The words for one currency."""

    noun: str
    """The noun in ``44x less compute``."""
    unit: str
    """Unit in a column header."""
    basis: str
    """How it is measured."""
    axis: str
    """Title of a chart's axis."""


WORDS = {
    "paper3x_tfs_days": Words(
        "compute",
        "tfs-days",
        "3 × forward MACs",
        "training compute, teraflop/s-days (3 × forward MACs)",
    ),
    "exact_flops": Words("compute", "FLOP", "exact FLOPs", "training compute, FLOP"),
    "train_seconds": Words("time", "s", "seconds of the training clock", "training time, s"),
    "energy_joules": Words(
        "energy", "J", "joules in proportion to training seconds", "training energy, J"
    ),
    "dollars": Words(
        "money", "USD", "dollars in proportion to training seconds", "price of training, USD"
    ),
}


def goal(halving: HalvingTime) -> str:
    """The target, as in ``imagenet, top-5 79.1 %``."""
    target = halving.target
    return f"{halving.data}, {target.metric.replace('top', 'top-')} {percent(target.value)}"


def headline(halving: HalvingTime) -> str:
    """The result in one line, with its interval if there is one."""
    low, high, months = halving.low_months, halving.high_months, halving.halving_months
    if halving.verdict == "halving":
        return f"halves every {_months(months)} (95 % interval {_bare(low)} to {_months(high)})"
    if halving.verdict == "doubling":
        return f"does not halve: it rises, doubling every {_months(halving.doubling_months)}"
    if months is not None:
        best = f"the best estimate halves every {_months(months)}"
    elif halving.doubling_months is not None:
        best = f"the best estimate rises, doubling every {_months(halving.doubling_months)}"
    else:
        best = "the best estimate is no change"
    reach = "" if low is None else f"from {_bare(low)} months a halving "
    return f"not shown to halve: {best}; the 95 % interval reaches {reach}to no change and beyond"


def basis(halving: HalvingTime) -> str:
    """The basis of the result: rows, variant, method, crossing, currency."""
    rows = "rows of the frontier" if halving.variant == "frontier" else "rows, all models"
    fit = "" if halving.r_squared is None else f", r² {halving.r_squared:.3f}"
    currency = WORDS[halving.currency].basis
    return (
        f"n = {halving.n} {rows}; {halving.method}{fit}; "
        f"{halving.estimand}, {halving.crossing} crossing, {currency}, {halving.tier}"
    )


def why(halving: HalvingTime) -> str:
    """What the interval covers, and what it leaves out."""
    reason = "Student's t: with so few rows a normal interval would be too short"
    if halving.variant == "frontier":
        return f"{reason}; choosing the frontier by its own numbers is not in it (docs/numbers.md)"
    return reason


def comparison(halving: HalvingTime) -> str:
    """The factor over the fitted years, compared with the 2020 paper's rate and Moore's law."""
    months = fitted_months(halving)
    noun = WORDS[halving.currency].noun
    factor = f"{halving.reduction_factor:.3g}x less {noun} in {months / 12:.1f} years"
    if halving.reduction_factor < 1:
        factor = f"{1 / halving.reduction_factor:.3g}x more {noun} in {months / 12:.1f} years"
    return (
        f"{factor} (end points{_end_points(halving)}); "
        f"at the {PAPER_2020_MONTHS} months of the 2020 paper it would be "
        f"{2 ** (months / PAPER_2020_MONTHS):.3g}x, "
        f"by Moore's law ({MOORE_MONTHS} months) {2 ** (months / MOORE_MONTHS):.3g}x"
    )


def fitted_months(halving: HalvingTime) -> float:
    """Months between the first and the last fitted row."""
    days = [date.fromisoformat(row["date"]).toordinal() for row in halving.rows if row["fitted"]]
    return (max(days) - min(days)) / DAYS_PER_MONTH


def row_names(halving: HalvingTime) -> list[str]:
    """The name of each row: its model, and its recipe if the model has several rows."""
    models = Counter(row["model"] for row in halving.rows)
    return [
        row["model"] if models[row["model"]] == 1 else f"{row['model']} {row['recipe']}"
        for row in halving.rows
    ]


def _end_points(halving: HalvingTime) -> str:
    months = halving.end_points_months
    return "" if months is None else f": {_bare(months)} months a halving"


def _months(months: float | None) -> str:
    return f"{_bare(months)} months"


def _bare(months: float | None) -> str:
    assert months is not None
    return f"{months:.1f}" if months < 1000 else number(months)
