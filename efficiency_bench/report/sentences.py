"""Sentences about a halving time, shared by the terminal, the chart and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from efficiency_bench.fitting.fit import Fit
from efficiency_bench.fitting.fit_row import DAYS_PER_MONTH
from efficiency_bench.fitting.halving import MOORE_MONTHS, PAPER_2020_MONTHS, HalvingTime
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
    if halving.slope_per_month is None:
        return f"not identified: {_arrived(halving)}, too few to tell a rate"
    if halving.verdict == "halving":
        interval = f"{_bare(low)} to {_months(high)}" if low else f"up to {_months(high)}"
        return f"halves every {_months(months)} (95 % interval {interval})"
    if halving.verdict == "doubling":
        return f"does not halve: it rises, doubling every {_months(halving.doubling_months)}"
    if months is not None:
        best = f"the best estimate halves every {_months(months)}"
    elif halving.doubling_months is not None:
        best = f"the best estimate rises, doubling every {_months(halving.doubling_months)}"
    else:
        best = "the best estimate is no change"
    reach = f"from a halving every {_bare(low)} months " if low else ""
    return f"not shown to halve: {best}; the 95 % interval reaches {reach}to no change and beyond"


def method_words(halving: HalvingTime) -> str:
    """The method with its rows, as in ``least squares on the frontier, the method of 2020``."""
    if halving.method == "censored":
        return "censored regression over all rows"
    if halving.variant == "frontier":
        return "least squares on the frontier, the method of 2020"
    return "least squares on all rows that arrived"


def basis(halving: HalvingTime) -> str:
    """The basis of the result: method, rows, axis, estimand, crossing, currency, tier."""
    fit = "" if halving.r_squared is None else f", r² {halving.r_squared:.3f}"
    crossing = "" if halving.estimand == "budgeted" else f"{halving.crossing} crossing, "
    axis = f"{halving.axis} axis, " if halving.axis else ""
    return (
        f"{method_words(halving)}: n = {halving.n}{fit}; {axis}"
        f"{halving.estimand}, {crossing}{WORDS[halving.currency].basis}, {halving.tier}"
    )


def why(halving: HalvingTime) -> str:
    """What the interval covers, and what it leaves out."""
    if halving.method == "frontier":
        reason = "interval by Student's t"
        if halving.variant == "frontier":
            return f"{reason}; it does not cover the selection of the frontier (docs/numbers.md)"
        return reason
    reason = "interval by the profile likelihood, corrected for few rows"
    if halving.target_error is not None:
        points = f"{100 * halving.target_error:.2g}"
        return f"{reason}; it covers the target's standard error, {points} points"
    if halving.target.source == "baseline":
        if halving.estimand == "budgeted":
            return f"{reason}; it does not cover the target's own error: the baseline has one seed"
        return f"{reason}; it does not cover the target's own error: runs stop at the target"
    return reason


def detail_sentences(halving: HalvingTime) -> Iterator[str]:
    """Sentences on rows that reached the target, parts of the slope, scatter and cost of tuning."""
    yield f"{_arrived(halving)} at the target"
    share = halving.macs_share
    if share is not None:
        macs = round(100 * share)
        yield f"of the slope, MACs per image are {macs} % and images to the target {100 - macs} %"
    if halving.method == "censored" and halving.scatter is not None:
        bound = "at most " if halving.scatter_is_bound else ""
        seeds = halving.seed_scatter
        within = "" if seeds is None else f", seeds about their row by {seeds:.2f}"
        yield f"rows scatter about the line by {bound}{halving.scatter:.2f} halvings{within}"
    if halving.search_tfs_days is not None:
        yield (
            f"the search for learning rates took {number(halving.search_tfs_days)} tfs-days, which "
            "are in no row's compute"
        )
    elif halving.tier == "measured":
        yield "no search for learning rates is recorded"


def other_method_sentence(fit: Fit) -> str:
    """The result of the other method."""
    other = fit.other_method
    name = "least squares on the frontier" if other.method == "frontier" else "censored regression"
    if other.reason is not None:
        return f"{name}: no fit ({other.reason})"
    if other.halving_months is None:
        return f"{name}, n = {other.n}: {other.verdict}"
    return (
        f"{name}, n = {other.n}: {other.verdict}, {_bare(other.halving_months)} months "
        f"({_interval(other.low_months, other.high_months)})"
    )


def _interval(low: float | None, high: float | None) -> str:
    if high is None:
        return f"95 % interval from {_bare(low)} months to no change" if low else "no interval"
    return f"95 % interval {_bare(low)} to {_bare(high)}" if low else f"up to {_bare(high)}"


def _arrived(halving: HalvingTime) -> str:
    return f"{halving.n_arrived} of {halving.n} rows arrived"


def comparison(halving: HalvingTime) -> str:
    """The factor over the fitted years, compared with the 2020 paper's rate and Moore's law."""
    months = fitted_months(halving)
    noun, years = WORDS[halving.currency].noun, f"{months / 12:.1f} years"
    return (
        f"{_factor(halving, noun, years)}; "
        f"at the {PAPER_2020_MONTHS} months of the 2020 paper it would be "
        f"{2 ** (months / PAPER_2020_MONTHS):.3g}x, "
        f"by Moore's law ({MOORE_MONTHS} months) {2 ** (months / MOORE_MONTHS):.3g}x"
    )


def _factor(halving: HalvingTime, noun: str, years: str) -> str:
    change = factor_change(halving)
    if change is None:
        return f"no factor over {years}"
    factor, way = change
    how = along(halving) if halving.method == "censored" else f"end points{_end_points(halving)}"
    return f"{factor:.3g}x {way} {noun} in {years} ({how})"


def factor_change(halving: HalvingTime) -> tuple[float, str] | None:
    """The factor over the fitted years, at least 1, and ``less`` or ``more``; None: no factor."""
    factor = halving.reduction_factor
    if factor is None:
        return None
    return (1 / factor, "more") if factor < 1 else (factor, "less")


def along(halving: HalvingTime) -> str:
    """Where the censored regression's factor is from, with the 95 % interval of ``factor_change``.

    An end under 1x means that compute changed the other way.
    """
    falling, rising = halving.slope_low_per_month, halving.slope_high_per_month
    change = factor_change(halving)
    less = change is None or change[1] == "less"
    months = fitted_months(halving) * (-1 if less else 1)
    least, most = (
        None if slope is None else f"{2 ** (slope * months):.2g}x"
        for slope in ((rising, falling) if less else (falling, rising))
    )
    if least and most:
        interval = f"{least} to {most}"
    elif least or most:
        interval = f"at least {least}" if least else f"at most {most}"
    else:
        interval = "any factor"
    return f"along the line, 95 % interval {interval}"


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
