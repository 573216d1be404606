"""Writes the measured tables of docs/result.md and README.md from the committed ledger.

python docs/write_result.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import efficiency_bench
from efficiency_bench.fitting.fit import Fit
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.width_elasticity import width_elasticity
from efficiency_bench.ledger.baseline import LADDER_RECIPE, baseline_finals
from efficiency_bench.records import Entry
from efficiency_bench.report.tables.ladders import compared, ladder_lines, share
from efficiency_bench.stop_rule import metric_of_entry

DOCS = Path(__file__).parent
NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
LEVELS = {"cifar10": (None, 0.481, 0.5, 0.4, 0.3), "cifar100": (None,)}
"""Accuracies at which the fit is shown; None: the baseline's, the primary level of
docs/protocol.md, whose co-primary level is 48.1 %."""

PLACE = re.compile(
    r"(<!-- ([\w ]+): written by docs/write_result\.py -->\n)(?:.*?\n)??(<!-- end -->)", re.DOTALL
)


def pages() -> dict[Path, str]:
    """Return both pages as they should be."""
    read = efficiency_bench.ledger.read
    measured = read(DOCS.parent / "runs" / "ledger").entries
    sets = {data: [e for e in measured if e.data == data] for data in NAMES}
    sets = {"published": read("published").entries} | {d: some for d, some in sets.items() if some}
    fits = {data: fit for data, entries in sets.items() if (fit := fitted(entries))}
    parts = {"headlines": headlines(fits)}
    for data in sets.keys() & NAMES.keys():
        parts[f"{data} ladder"] = ladder(compared(sets[data]))
        parts[f"{data} summary"] = summary(sets[data], fits.get(data))
        parts[f"{data} levels"] = levels(sets[data], LEVELS[data])
    parts["cifar10 widths"] = widths(sets["cifar10"])
    texts = {name: "\n".join(lines) for name, lines in parts.items()}
    written = {}
    for path in (DOCS / "result.md", DOCS.parent / "README.md"):
        text = path.read_text("utf-8")
        written[path] = PLACE.sub(lambda at: f"{at[1]}\n{texts[at[2]]}\n\n{at[3]}", text)
    return written


def fitted(entries: Sequence[Entry], level: float | None = None) -> Fit | None:
    """Return the fit at an accuracy, or the baseline's; None with too few rows."""
    try:
        return efficiency_bench.fit(entries, target=level)
    except efficiency_bench.UserError:
        return None


def ladder(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the table of final accuracies by budget; at a whole one the mean over seeds."""
    metric = metric_of_entry(entries[0])
    lines = ladder_lines(entries, metric)
    budgets = sorted({budget for line in lines for budget in line.accuracies})
    yield f"| network | published | {' | '.join(map(share, budgets))} |"
    yield f"|---|---|{'---:|' * len(budgets)}"
    for line in lines:
        found = (line.accuracies.get(budget) for budget in budgets)
        cells = ("" if one is None else f"{100 * one:.1f}" for one in found)
        yield f"| {line.name} | {line.date} | {' | '.join(cells)} |"


def levels(entries: Sequence[Entry], asked: Sequence[float | None]) -> Iterator[str]:
    """Yield a table of the fits at several accuracies."""
    yield (
        "| level | arrived | halving time, months (95 % interval) | p of 16 months | p of 24 months"
        " | one row left out, months | slope from MACs per image |"
    )
    yield "|---|---:|---|---:|---:|---|---:|"
    for level in asked:
        found = fitted(entries, level)
        if found is None:
            continue
        tests = {test.months: f"{test.p_value:.2g}" for test in found.tests}
        left_out = " to ".join(map(months, found.leave_one_out_months or ()))
        cells = (
            f"{100 * found.target.value:.1f} %" + (", the baseline's" if level is None else ""),
            f"{found.n_arrived} of {found.n}",
            interval(found),
            *(tests.get(halving, "") for halving in (16.0, 24.0)),
            left_out,
            "" if found.macs_share is None else f"{100 * found.macs_share:.0f} %",
        )
        yield f"| {' | '.join(cells)} |"


def widths(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the table of the networks that ran at several scales, and what a scale costs."""
    try:
        found = width_elasticity(entries, Selection(axis="architecture"))
    except efficiency_bench.UserError:
        yield "Not measured yet."
        return
    wanted = [e for e in entries if e.model in found.models and e.recipe == LADDER_RECIPE]
    yield from ladder(wanted)
    yield ""
    if found.slope is None:
        yield "The width elasticity is not identified by these rows."
        return
    low, high = ("open" if end is None else f"{end:.2f}" for end in (found.low, found.high))
    yield f"The width elasticity is **{found.slope:.2f}** (95 % interval {low} to {high},"
    yield f"{found.rows} rows of {len(found.models)} networks)."


def summary(entries: Sequence[Entry], fitted: Fit | None) -> Iterator[str]:
    """Yield the baseline's seeds and what the fit says."""
    if fitted is None:
        yield f"- {len(entries)} runs. Nothing can be fitted yet: a fit needs the baseline's runs"
        yield "  and at least three networks."
        return
    metric = metric_of_entry(entries[0])
    finals = sorted(baseline_finals(entries, fitted.data_digest, metric).values())
    seeds = ", ".join(f"{100 * final:.2f}" for final in finals)
    level, error = 100 * math.fsum(finals) / len(finals), fitted.target_error
    yield f"- {len(entries)} runs. With its whole budget AlexNet ended at {seeds} %."
    if error is None:
        yield "  That is the level; one seed gives it no standard error."
    else:
        yield f"  The level is their mean, {level:.1f} %; its standard error is"
        yield f"  {100 * error:.1f} points."
    yield f"- {fitted.n_arrived} of {fitted.n} networks reached that level, AlexNet included."
    yield f"- The fit: {fitted.verdict}. Halving time {interval(fitted)} months; networks scatter"
    yield f"  about the line by {fitted.scatter:.1f} halvings."


def headlines(fits: Mapping[str, Fit]) -> Iterator[str]:
    """Yield the README's table."""
    yield "| rows | halving time, months (95 % interval) | factor | rows fitted |"
    yield "|---|---|---:|---:|"
    for data, fitted in fits.items():
        if data == "published":
            what = "published in 2020, ImageNet, top-5 79.1 % (`efficiency-bench fit published`)"
            rows = f"{fitted.n}"
        else:
            level = (
                f"{fitted.target.metric.replace('top', 'top-')} {100 * fitted.target.value:.1f} %"
            )
            command = f"efficiency-bench fit --data {data}"
            what = f"measured, 10,000 images of {NAMES[data]}, {level} (`{command}`)"
            rows = f"{fitted.n}, {fitted.n_arrived} of them arrived"
        factor = "-" if fitted.high_months is None else f"{fitted.reduction_factor:.1f}x"
        yield f"| {what} | {interval(fitted)} | {factor} | {rows} |"


def interval(fitted: Fit) -> str:
    """Return the halving time and its 95 % interval in months."""
    best, low, high = map(months, (fitted.halving_months, fitted.low_months, fitted.high_months))
    return f"{best} ({low} to {high})"


def months(halving: float | None) -> str:
    """A halving time; 0 is the end of an interval that no rate is too fast for."""
    return "no fall" if halving is None else "any rate" if halving == 0 else f"{halving:.1f}"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
