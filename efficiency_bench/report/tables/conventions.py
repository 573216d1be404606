"""The output of `efficiency-bench conventions`."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.fitting.sensitivity.conventions import (
    ConventionRow,
    ConventionTable,
    NotApplicable,
    Span,
)
from efficiency_bench.fitting.sensitivity.published_errata import Erratum
from efficiency_bench.formatting import percent
from efficiency_bench.report.tables.layout import interval, one_decimal, plain_table, print_lines

CONVENTIONS_LEGEND = "halving in months; ∞: the interval reaches no change"


def print_conventions(result: ConventionTable, console: Console) -> None:
    """Print the headline, each changed choice, the span, what does not apply, and errata.

    Fits 80 columns.
    """
    console.print(conventions_table(result))
    console.print(Text(CONVENTIONS_LEGEND, style="dim"))
    console.print()
    console.print(Text(span_sentence(result.span), style="bold"))
    _print_block(
        "Does not apply here:", console, (not_applicable_line(n) for n in result.not_applicable)
    )
    _print_block(
        "Errata of the published material:", console, (erratum_line(s) for s in result.errata)
    )
    print_lines(result.notes, console)


def conventions_table(result: ConventionTable) -> Table:
    """The headline in bold, and a line for each changed choice."""
    level = f"{result.target.metric.replace('top', 'top-')} {percent(result.target.value)}"
    table = plain_table(
        f"One choice made differently at a time: {result.data}, {level}, {result.tier}",
        "convention",
        "factor",
        "halving",
        "95 %",
        "n",
    )
    for row in result.rows:
        table.add_row(*_cells(row), style="" if row.changed else "bold")
    return table


def span_sentence(span: Span | None) -> str:
    """The headline's span in one line, as in ``over 96 combinations: 28.0x to 44.9x, ...``."""
    if span is None:
        return "no combination of these choices has a halving time"
    missed = f" ({span.without_fit} more have no halving time)" if span.without_fit else ""
    return (
        f"over {span.combinations} combinations{missed}: "
        f"{span.low_factor:.1f}x to {span.high_factor:.1f}x, "
        f"halving every {span.low_months:.1f} to {span.high_months:.1f} months"
    )


def _cells(row: ConventionRow) -> tuple[str, ...]:
    factor = "-" if row.reduction_factor is None else f"{row.reduction_factor:.1f}x"
    months = one_decimal(row.halving_months)
    return (row.convention, factor, months, interval(row.low_months, row.high_months), str(row.n))


def _print_block(title: str, console: Console, lines: Iterable[str]) -> None:
    found = list(lines)
    if found:
        console.print()
        console.print(Text(title))
        print_lines(found, console)


def not_applicable_line(choice: NotApplicable) -> str:
    """A choice that does not exist for these rows, and the reason."""
    return f"{choice.convention}: {choice.reason}"


def erratum_line(erratum: Erratum) -> str:
    """What the published material prints and what was expected there."""
    printed, expected = _value(erratum.printed), _value(erratum.expected)
    return f"{erratum.what}: printed {printed}, expected {expected} ({erratum.why})"


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
