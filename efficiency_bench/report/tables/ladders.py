"""Ladders of budgeted runs as a table: final accuracy by budget, one line per network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rich.table import Table

from efficiency_bench.identity import SCHEDULE_LENGTH, form_scale, row_key
from efficiency_bench.ledger.baseline import LADDER_RECIPE
from efficiency_bench.records import Entry, Metric
from efficiency_bench.report.tables.layout import ABSENT, plain_table
from efficiency_bench.stop_rule import final_accuracy

LADDERS_LEGEND = (
    "final accuracy in %, mean over seeds, at each share of the baseline's compute; -: not run"
)


@dataclass(frozen=True)
class LadderLine:
    """The rungs of one row, unsmoothed."""

    name: str
    """The network; with its scale if that is not 1, and its recipe if several were run."""
    date: str
    """ISO date of the network's publication."""
    accuracies: dict[float, float]
    """Requested budget -> final accuracy, a fraction, mean over seeds; ascending."""


def compared(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the budgeted runs with the recipe and scale of the ladders' baseline.

    Other scales and recipes of the same networks answer other questions.  Returns all entries if
    none has this recipe and scale.
    """
    budgeted = [entry for entry in entries if entry.budget_asked is not None]
    return [e for e in budgeted if e.recipe == LADDER_RECIPE and form_scale(e) == 1] or entries


def ladder_lines(entries: Iterable[Entry], metric: Metric) -> list[LadderLine]:
    """The ladders of the budgeted runs among ``entries``, by date.

    As in a fit, a run that diverged counts at chance level, and one that failed is left out.
    """
    rows: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.budget_asked is not None and entry.end_reason != "failed":
            rows.setdefault(row_key(entry, SCHEDULE_LENGTH), []).append(entry)
    recipes = {runs[0].recipe for runs in rows.values()}
    lines = [_line(runs, metric, len(recipes) > 1) for runs in rows.values()]
    return sorted(lines, key=lambda line: (line.date, line.name))


def _line(runs: Sequence[Entry], metric: Metric, with_recipe: bool) -> LadderLine:
    rungs: dict[float, list[float]] = {}
    for entry in runs:
        rungs.setdefault(entry.budget_asked or 0.0, []).append(final_accuracy(entry, metric))
    first = runs[0]
    scale = form_scale(first)
    name = first.model if scale == 1 else f"{first.model} at {scale:g}"
    return LadderLine(
        name=f"{name} {first.recipe}" if with_recipe else name,
        date=first.date or "",
        accuracies={b: math.fsum(found) / len(found) for b, found in sorted(rungs.items())},
    )


def ladders_table(lines: Sequence[LadderLine]) -> Table:
    """One line per network, one column per budget."""
    budgets = sorted({budget for line in lines for budget in line.accuracies})
    table = plain_table("Final accuracy by budget", "network", *map(share, budgets))
    for line in lines:
        found = (line.accuracies.get(budget) for budget in budgets)
        cells = (ABSENT if accuracy is None else f"{100 * accuracy:.1f}" for accuracy in found)
        table.add_row(line.name, *cells)
    return table


def share(budget: float) -> str:
    """A budget as a fraction if it is a simple one (``1/64``), else as a decimal."""
    found = Fraction(budget).limit_denominator(1024)
    simple = math.isclose(float(found), budget) and found.numerator == 1
    return str(found) if simple else f"{budget:g}"
