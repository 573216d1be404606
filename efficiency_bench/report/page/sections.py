"""The subsections of a set, in order, with their text, tables and caveats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table

from efficiency_bench.fitting.halving import MOORE_MONTHS, PAPER_2020_MONTHS, HalvingTime
from efficiency_bench.fitting.width_elasticity import WidthElasticity
from efficiency_bench.formatting import number
from efficiency_bench.report.page.currencies import (
    account_table,
    currencies_table,
    currency_lines,
    operators_table,
    rates_table,
)
from efficiency_bench.report.page.results import NoResult, SetResults
from efficiency_bench.report.page.width import width_sentences
from efficiency_bench.report.sample import sample
from efficiency_bench.report.sentences import (
    along,
    basis,
    comparison,
    detail_sentences,
    factor_change,
    fitted_months,
    goal,
    headline,
    other_method_sentence,
    why,
)
from efficiency_bench.report.tables.conventions import (
    CONVENTIONS_LEGEND,
    conventions_table,
    erratum_line,
    not_applicable_line,
    span_sentence,
)
from efficiency_bench.report.tables.crossings import crossings_table
from efficiency_bench.report.tables.decomposition import (
    SPLIT_LEGEND,
    corners_table,
    epochs_and_images_table,
    parts_table,
)
from efficiency_bench.report.tables.fit_and_ledger import fit_legend, fit_table
from efficiency_bench.report.tables.ladders import LADDERS_LEGEND, ladders_table
from efficiency_bench.report.tables.layout import interval, one_decimal
from efficiency_bench.report.tables.robustness import (
    METHODS_LEGEND,
    methods_table,
    robustness_sentences,
)
from efficiency_bench.report.tables.threshold_sweep import SWEEP_LEGEND, sweep_table


@dataclass(frozen=True)
class PageRow:
    """One row; ``strong`` if the terminal prints it in bold."""

    cells: tuple[str, ...]
    strong: bool


@dataclass(frozen=True)
class PageTable:
    """A table with its caption and column headers."""

    caption: str
    heads: tuple[str, ...]
    numbers: tuple[bool, ...]
    """Which columns are numbers, and so right-aligned."""
    rows: tuple[PageRow, ...]
    left_out: int = 0
    """Rows that are not shown."""

    def shortened(self, most: int) -> PageTable:
        """Return the table with at most ``most`` rows: bold ones first, then evenly spaced ones."""
        rows = tuple(sample(self.rows, most, lambda row: row.strong))
        return replace(self, rows=rows, left_out=len(self.rows) - len(rows))


def page_table(table: Table) -> PageTable:
    """Convert a terminal table, whose cells are all text."""
    columns = [list(map(str, column.cells)) for column in table.columns]
    styles = [str(row.style or "") for row in table.rows]
    return PageTable(
        caption=str(table.title or ""),
        heads=tuple(str(column.header) for column in table.columns),
        numbers=tuple(column.justify == "right" for column in table.columns),
        rows=tuple(
            PageRow(cells, style == "bold")
            for cells, style in zip(zip(*columns, strict=True), styles, strict=True)
        ),
    )


@dataclass(frozen=True)
class Figure:
    """A number in large print, with its label."""

    value: str
    label: str


@dataclass(frozen=True)
class Subsection:
    """One part of a set's section on the page."""

    name: str
    """Short, fixed name, used in links and in the file name of its chart."""
    title: str
    reading: str
    """How to read it, and its limits."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    lines: tuple[str, ...] = ()
    command: str | None = None
    """The verb that prints the same numbers."""
    missing: str | None = None
    """The reason why there is nothing to show."""

    def with_results(
        self, *tables: Table, lines: tuple[str, ...] = (), **further: Any
    ) -> Subsection:
        """Return this subsection with its results."""
        return replace(self, tables=tuple(map(page_table, tables)), lines=lines, **further)

    def shortened(self, most: int) -> Subsection:
        """Return this subsection with at most ``most`` rows in each table, and as many lines."""
        tables = tuple(table.shortened(most) for table in self.tables)
        left_out = len(self.lines) - most
        more = (f"{left_out} further lines are left out",) if left_out > 0 else ()
        return replace(self, tables=tables, lines=(*self.lines[:most], *more))

    def without(self, missing: NoResult) -> Subsection:
        """Return this subsection with the reason why there is nothing to show."""
        return replace(self, missing=missing.reason)


MOST_NAMED = 20
"""Most networks named in one sentence."""

AUDIT = "efficiency-bench audit MODEL"


def parts(results: SetResults) -> tuple[Subsection, ...]:
    """All subsections of one set; those without a result state the reason."""
    return (
        _headline(results),
        _compute(results),
        *_ladders(results),
        _curves(results),
        _split(results),
        _sweep(results),
        _conventions(results),
        _currencies(results),
        _account(results),
    )


def _headline(results: SetResults) -> Subsection:
    halving = results.halving
    start = Subsection(
        "headline",
        "How fast the compute falls",
        "Read the interval before the number. It covers the scatter of the rows about the line. "
        "In the censored regression, rows that never reached the target count as bounds; the "
        "frontier leaves them out, and its interval ignores that the cheapest rows were selected "
        "by their own numbers.",
        command=f"efficiency-bench fit{results.source}",
    )
    if isinstance(halving, NoResult):
        return start.without(halving)
    width = width_sentences(results)
    large = isinstance(results.width, WidthElasticity) and results.width.large
    return start.with_results(
        figures=_figures(halving),
        lines=(
            *(width if large else ()),
            f"Compute to {goal(halving)}: {headline(halving)}.",
            comparison(halving),
            f"{basis(halving)}. This method because: {halving.method_reason}.",
            *(() if large else width),
            *detail_sentences(halving),
            why(halving),
            f"By the other method, {other_method_sentence(halving)}.",
            *_small_images(halving),
            *robustness_sentences(halving),
            *_other_estimand(halving, results.other_estimand),
        ),
    )


def _small_images(halving: HalvingTime) -> tuple[str, ...]:
    """A caveat for data other than ImageNet: the page also shows the 2020 paper's months."""
    if halving.data.startswith("imagenet"):
        return ()
    return (
        f"{halving.data} is not ImageNet: other images and smaller networks, so this says nothing "
        "about the 16 months that the 2020 paper found there.",
    )


def _other_estimand(halving: HalvingTime, other: HalvingTime | None) -> tuple[str, ...]:
    """Compare both estimands, including each network's epochs; empty if there is only one."""
    if other is None:
        return ()
    epochs = {(row["model"], row["recipe"]): row["epochs_to_target"] for row in other.rows}
    both = [
        f"{row['model']} {row['epochs_to_target']:.3g} and {there:.3g}"
        for row in halving.rows
        if row["epochs_to_target"] and (there := epochs.get((row["model"], row["recipe"])))
    ]
    more = f" and {len(both) - MOST_NAMED} more" if len(both) > MOST_NAMED else ""
    return (
        f"{halving.estimand}: {headline(halving)}; {other.estimand}: {headline(other)}.",
        f"Epochs, {halving.estimand} and {other.estimand}: {', '.join(both[:MOST_NAMED])}{more}.",
    )


def _figures(halving: HalvingTime) -> tuple[Figure, ...]:
    bounds = interval(halving.low_months, halving.high_months)
    years = f"{fitted_months(halving) / 12:.1f} years"
    if halving.halving_months is None:
        rate = Figure("no fall", "compute does not halve over these rows")
    else:
        sure = "" if halving.verdict == "halving" else "; not shown to halve"
        rate = Figure(
            f"{one_decimal(halving.halving_months)} months",
            f"for compute to halve, 95 % interval {bounds}{sure}",
        )
    factor, way = factor_change(halving) or (None, "less")
    return (
        rate,
        Figure(
            "no factor" if factor is None else f"{number(factor)}x",
            f"{way} compute in {years}, "
            + (along(halving) if halving.method == "censored" else "end points"),
        ),
        Figure(f"{PAPER_2020_MONTHS} months", "in the 2020 paper"),
        Figure(f"{MOORE_MONTHS} months", "by Moore's law"),
    )


def _compute(results: SetResults) -> Subsection:
    halving = results.halving
    start = Subsection(
        "compute",
        "Training compute to the target",
        "Each point is one network with one recipe at its publication date; lower is cheaper, and "
        "the axis is logarithmic. A triangle never reached the target: it needs more compute than "
        "it spent, which is where it is drawn. The staircase is the frontier. The band of the line "
        "shows where the line can lie, not where the next network will.",
        command=f"efficiency-bench fit{results.source}",
    )
    if isinstance(halving, NoResult):
        return start.without(halving)
    return start.with_results(
        fit_table(halving),
        methods_table(halving),
        lines=(fit_legend(halving), basis(halving), METHODS_LEGEND, *halving.notes),
    )


def _ladders(results: SetResults) -> tuple[Subsection, ...]:
    """The ladders, if the runs had budgets."""
    if not results.ladders:
        return ()
    start = Subsection(
        "ladders",
        "Accuracy for equal compute",
        "Each point is one run, trained to the end of a schedule that costs the given share of the "
        "baseline's compute. A network's compute to an accuracy lies between the last budget below "
        "it and the first at or above it.",
        command=f"efficiency-bench fit{results.source}",
    )
    return (start.with_results(ladders_table(results.ladders), lines=(LADDERS_LEGEND,)),)


def _curves(results: SetResults) -> Subsection:
    start = Subsection(
        "curves",
        "Learning curves and their crossings",
        "Crossings are estimated from noisy evaluations: the thick bar is the 95 % interval for "
        "these validation images, the thin bar for new images of the same kind. A bar that "
        "reaches the edge is open: the curve may flatten just below the target.",
        command=f"efficiency-bench ledger crossings{_folder(results.source)}",
    )
    if not results.crossings:
        return start.without(NoResult("no run with a target has a learning curve here"))
    return start.with_results(crossings_table(results.crossings, results.entries, wide=True))


def _split(results: SetResults) -> Subsection:
    start = Subsection(
        "split",
        "Fewer epochs, cheaper images",
        "The paper's own split: how much of a gain comes from fewer epochs, and how much from less "
        "compute per image. It does not explain why. If all four combinations of two networks and "
        "two recipes were run, the gain is also split between architecture and recipe.",
        command=f"efficiency-bench decompose{results.source}",
    )
    if isinstance(results.split, NoResult):
        return start.without(results.split)
    tables = [epochs_and_images_table(results.split)]
    lines = [SPLIT_LEGEND]
    for grid in results.grids:
        tables += [corners_table(grid), parts_table(grid)]
        lines += [grid.method, *grid.notes]
    if not results.grids:
        lines.append(
            "architecture and recipe cannot be separated: no two networks were both run with the "
            "same two recipes"
        )
    if results.grids_left_out:
        lines.append(f"{results.grids_left_out} further complete grids: decompose --from --to")
    return start.with_results(*tables, lines=tuple(dict.fromkeys(lines)))


def _sweep(results: SetResults) -> Subsection:
    start = Subsection(
        "sweep",
        "The same at every threshold",
        "The halving time depends on the target accuracy. All points come from the same curves, so "
        "they are not independent measurements; bars that reach the upper edge include no change "
        "at all.",
        command=f"efficiency-bench fit{results.source} --sweep {results.swept}",
    )
    if isinstance(results.sweep, NoResult):
        return start.without(results.sweep)
    lines = (SWEEP_LEGEND, *results.sweep.notes)
    return start.with_results(sweep_table(results.sweep), lines=lines)


def _conventions(results: SetResults) -> Subsection:
    start = Subsection(
        "conventions",
        "What the conventions decide",
        "The first line is the headline; each further line changes one choice. The span over all "
        "combinations is not an interval: it shows how far choices alone move the result.",
        command=f"efficiency-bench conventions{results.source}",
    )
    table = results.conventions
    if isinstance(table, NoResult):
        return start.without(table)
    lines = (
        f"{span_sentence(table.span)}",
        CONVENTIONS_LEGEND,
        *(f"does not apply: {not_applicable_line(choice)}" for choice in table.not_applicable),
        *(
            f"erratum of the published material: {erratum_line(erratum)}"
            for erratum in table.errata
        ),
        *table.notes,
    )
    return start.with_results(conventions_table(table), lines=lines)


def _currencies(results: SetResults) -> Subsection:
    start = Subsection(
        "currencies",
        "Compute, seconds, energy, dollars",
        "Compute is counted and does not depend on the machine. Seconds are the training clock "
        "on its own hardware: rows on different machines do not compare. Energy and "
        "dollars are fitted where every run has them; nothing is estimated here.",
    )
    tables = rates_table(results), currencies_table(results)
    return start.with_results(*tables, lines=currency_lines(results))


def _account(results: SetResults) -> Subsection:
    models = sorted({entry.model for entry in results.entries})
    start = Subsection(
        "account",
        "What was counted",
        "Multiply-accumulates of one training image, forward (F) and backward (B), and in layers "
        "that read the image (F1), for each resolution a run trained at, and the forward ones by "
        "operator where the log has them. The audit counts again, by module too, by two counters.",
        command=f"efficiency-bench audit {models[0]}" if len(models) == 1 else AUDIT,
    )
    tables = [account_table(results)]
    if results.operators:
        tables.append(operators_table(results))
    return start.with_results(*tables)


def _folder(source: str) -> str:
    """``ledger crossings`` takes the folder as an option, and no set."""
    words: Sequence[str] = source.split(" --")[0].split()
    return f" --ledger {' '.join(words)}" if words else ""
