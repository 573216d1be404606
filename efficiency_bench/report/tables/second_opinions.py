"""Tables of the robustness checks of a fit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.fitting.robustness.power import (
    FAST_MONTHS,
    MOST_ROWS,
    POWER,
    SLOW_MONTHS,
    Needed,
)
from efficiency_bench.fitting.robustness.second_opinions import SecondOpinions
from efficiency_bench.report.tables.layout import interval, one_decimal, plain_table, print_lines

OPINIONS_LEGEND = (
    "halving in months; ∞: the interval reaches no change; the headline is the first line"
)


def print_opinions(opinions: SecondOpinions, console: Console) -> None:
    """Print other methods, leave-one-out, moved dates, the two tests and power; 80 columns."""
    console.print(opinions_table(opinions))
    console.print(Text(OPINIONS_LEGEND, style="dim"))
    console.print()
    print_lines(opinion_sentences(opinions), console)


def opinions_table(opinions: SecondOpinions) -> Table:
    """One line per method, the headline's first."""
    table = plain_table("The same rows by other methods", "method", "halving", "95 %", "n")
    for method in (*opinions.methods, *opinions.moved_dates):
        months = one_decimal(method.halving_months)
        bounds = interval(method.low_months, method.high_months)
        table.add_row(method.method, months, bounds, str(method.n))
    return table


def opinion_sentences(opinions: SecondOpinions) -> Iterator[str]:
    """Sentences on leave-one-out, tests, power and censoring."""
    least, most = opinions.leave_one_out_months
    if least is not None and most is not None:
        yield f"leaving out one row: {least:.1f} to {most:.1f} months"
    for test in opinions.tests:
        verdict = "rejected" if test.p_value < 0.05 else "not rejected"
        by = f" ({test.method})" if opinions.censored or opinions.censored_in_part else ""
        yield f"{test.months:g} months ({test.name}): {verdict}, p = {test.p_value:.2g}{by}"
    yield power_sentence(opinions.power)
    if opinions.censored:
        rows = "row" if opinions.censored == 1 else "rows"
        yield f"{opinions.censored} {rows} never arrived: only Tobit's likelihood takes them in"
    if opinions.censored_in_part:
        rows = "row" if opinions.censored_in_part == 1 else "rows"
        yield (
            f"{opinions.censored_in_part} {rows} arrived in some seeds only: Tobit takes such a row"
            " as more than the mean of its seeds, the others standing at what they spent"
        )
    yield from opinions.opinion_notes


def power_sentence(table: tuple[Needed, ...]) -> str:
    """A sentence on how many more rows would distinguish 12 from 20 months."""
    first = table[0]
    chance = (
        f"power: rows that scatter like these tell a halving in {FAST_MONTHS:g} months from one in "
        f"{SLOW_MONTHS:g} with a chance of {_chance(first.power_without)}"
    )
    if first.power_without >= POWER:
        return chance
    needed = ", ".join(
        f"{row.rows or f'more than {MOST_ROWS}'} over {row.span_months / 12:g} years"
        for row in table
    )
    return f"{chance}; further rows for {POWER:.0%}: {needed}"


def _chance(power: float) -> str:
    return "over 99 %" if power > 0.99 else f"{100 * power:.0f} %"
