"""Tables of the robustness checks of a fit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.fitting.robustness.checks import RobustnessChecks
from efficiency_bench.fitting.robustness.power import MOST_ROWS, POWER, SPAN_MONTHS, RatePower
from efficiency_bench.report.tables.layout import interval, one_decimal, plain_table, print_lines

METHODS_LEGEND = (
    "halving in months; ∞: the interval reaches no change; the headline is the first line"
)


def print_robustness(checks: RobustnessChecks, console: Console) -> None:
    """Print other methods, leave-one-out, moved dates, the two tests and power; 80 columns."""
    console.print(methods_table(checks))
    console.print(Text(METHODS_LEGEND, style="dim"))
    console.print()
    print_lines(robustness_sentences(checks), console)


def methods_table(checks: RobustnessChecks) -> Table:
    """One line per method, the headline's first."""
    table = plain_table("The same rows by other methods", "method", "halving", "95 %", "n")
    for method in (*checks.methods, *checks.moved_dates):
        months = one_decimal(method.halving_months)
        bounds = interval(method.low_months, method.high_months)
        table.add_row(method.method, months, bounds, str(method.n))
    return table


def robustness_sentences(checks: RobustnessChecks) -> Iterator[str]:
    """Sentences on leave-one-out, tests, power and censoring."""
    least, most = checks.leave_one_out_months
    if least is not None and most is not None:
        yield f"leaving out one row: {least:.1f} to {most:.1f} months"
    for test in checks.tests:
        verdict = "rejected" if test.p_value < 0.05 else "not rejected"
        by = f" ({test.method})" if checks.censored or checks.censored_in_part else ""
        yield f"{test.months:g} months ({test.name}): {verdict}, p = {test.p_value:.2g}{by}"
    yield from power_sentences(checks.power)
    if checks.censored:
        rows = "row" if checks.censored == 1 else "rows"
        yield f"{checks.censored} {rows} never arrived: only the censored regression has them"
    if checks.censored_in_part:
        rows = "row" if checks.censored_in_part == 1 else "rows"
        yield (
            f"{checks.censored_in_part} {rows} arrived in some seeds only: least squares takes "
            "the seeds that did, the censored regression all of them"
        )
    yield from checks.robustness_notes


def power_sentences(table: tuple[RatePower, ...]) -> Iterator[str]:
    """The chance to reject each stated rate if the fitted one is true, and what would help."""
    for row in table:
        text = (
            f"power: if the fitted rate is true, rows like these reject {row.months:g} months "
            f"with a chance of {_chance(row.power)}"
        )
        if row.power < POWER:
            more = row.further_rows or f"more than {MOST_ROWS}"
            text += f"; for {POWER:.0%}, {more} further rows over {SPAN_MONTHS / 12:g} years"
        yield text


def _chance(power: float) -> str:
    return "over 99 %" if power > 0.99 else f"{100 * power:.0f} %"
