"""Tables of a ledger and of a fit, laid out like the paper's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from efficiency_bench.fitting.fit import Fit
from efficiency_bench.fitting.halving import HalvingTime
from efficiency_bench.formatting import number, percent
from efficiency_bench.ledger import export
from efficiency_bench.records import Entry
from efficiency_bench.report.sentences import (
    WORDS,
    basis,
    comparison,
    detail_sentences,
    goal,
    headline,
    other_method_sentence,
    row_names,
    why,
)
from efficiency_bench.report.tables.layout import ABSENT, bare_table, print_lines
from efficiency_bench.report.tables.run_columns import RunColumns


def print_fit(halving: Fit, console: Console) -> None:
    """Print the rows of a fit, then sentences on the halving time; fits 80 columns."""
    noun = WORDS[halving.currency].noun
    console.print(fit_table(halving))
    if halving.rows:
        console.print(fit_legend(halving), style="dim", highlight=False)
    console.print()
    console.print(
        Text(f"{noun.capitalize()} to {goal(halving)}: {headline(halving)}.", style="bold")
    )
    lines = (
        basis(halving),
        f"this method because: {halving.method_reason}",
        *detail_sentences(halving),
        why(halving),
        comparison(halving),
        f"by the other method, {other_method_sentence(halving)}",
        *halving.notes,
    )
    print_lines(lines, console)


def fit_table(halving: HalvingTime) -> Table:
    """One line per row of the fit, with the frontier in bold."""
    words = WORDS[halving.currency]
    table = bare_table(f"Training {words.noun} to {goal(halving)}")
    table.add_column("publication", overflow="fold")
    table.add_column("date", no_wrap=True)
    for name in (words.unit, "factor", "epochs", "MMAC", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, name in zip(halving.rows, row_names(halving), strict=True):
        table.add_row(*_cells(row, name), style="bold" if row["on_frontier"] else "")
    return table


def ledger_table(entries: Sequence[Entry], wide: bool = False) -> Table:
    """One line per entry: how it ended and what it cost; fits 80 columns unless ``wide``."""
    runs = RunColumns(entries, wide)
    words = ("date", "ended") if wide else ("ended",)
    table = runs.table("", "target", "epochs", "tfs-days", words=words)
    for entry in entries:
        cells = ledger_cells(entry)
        table.add_row(*runs.cells(entry.run_id), *(cells if wide else cells[1:]))
    return table


def _cells(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    compute = compute_text(row)
    factor, epochs = row["reduction_factor"], row["epochs_to_target"]
    return (
        f"{'*' if row['on_frontier'] else ' '} {name}",
        row["date"] or ABSENT,
        compute,
        ABSENT if factor is None else number(factor),
        ABSENT if epochs is None else number(epochs),
        number(row["forward_macs"] / 1e6),
        f"{row['reached_seeds']}/{row['seeds']}",
    )


def compute_text(row: Mapping[str, Any]) -> str:
    """Return compute to the target as text: a number, an interval or a bound."""
    if row["censoring"] == "interval":
        return _between(row["compute_at_least"], row["compute"])
    if row["censoring"] == "below":
        return f"≤ {number(row['compute'])}"
    return number(row["compute"]) if row["reached"] else f"> {number(row['compute_spent'])}"


def _between(low: float, high: float) -> str:
    """Text like ``4.64-9.27e-5``: both numbers with the exponent of the higher."""
    if low < high / 10:  # it would lose its digits
        return f"{number(low)} to {number(high)}"
    _, e, exponent = number(high).partition("e")
    start = f"{low / 10.0 ** int(exponent):.2f}" if e else number(low)
    return f"{start}-{number(high)}"


def fit_legend(halving: HalvingTime) -> str:
    """The legend for the marks in ``fit_table``."""
    parts = ["* on the frontier", "seeds: reached/run"]
    if any(row["is_baseline"] for row in halving.rows):
        parts[-1] += " (the baseline sets the target: all)"
    if not all(row["reached"] for row in halving.rows):
        parts.append(f"> never reached: {WORDS[halving.currency].noun} spent")
    if any(row["censoring"] == "interval" for row in halving.rows):
        parts.append("A-B: a budget of A missed, one of B reached it")
    if any(row["censoring"] == "below" for row in halving.rows):
        parts.append("≤ every budget reached it")
    return "; ".join(parts)


def ledger_cells(entry: Entry) -> tuple[str, ...]:
    """Date, ending, target, and epochs and compute to it, as text."""
    compute = entry.paper3x_to_target_tfs_days
    epochs = entry.sustained_crossing_epochs
    if entry.sets_target or (entry.estimand == "budgeted" and entry.reached is not False):
        epochs = entry.epochs
    return (
        entry.date or ABSENT,
        outcome_word(entry),
        ABSENT if entry.target is None else percent(entry.target.value),
        ABSENT if epochs is None else number(epochs),
        ABSENT if compute is None else number(compute),
    )


def outcome_word(entry: Entry) -> str:
    """The result of a run; the end reason alone does not distinguish a baseline from a miss."""
    if entry.end_reason not in ("target", "schedule"):
        return str(entry.end_reason)
    if entry.target is None:
        return "ended"
    if entry.sets_target:
        return "set target"
    return "reached" if entry.reached else "not reached"


COLUMNS = {
    "train_seconds": "s",
    "images_per_second": "images/s",
    "achieved_flops_per_second": "GFLOP/s",
    "share_of_peak": "of peak",
    "energy_joules": "joules",
    "dollars": "USD",
}


def costs_table(entries: Sequence[Entry], wide: bool = False) -> Table:
    """One line per listed entry with its costs; fits 80 columns unless ``wide``."""
    runs = RunColumns(entries, wide)
    table = runs.table("What training cost (- unknown)", *COLUMNS.values())
    for entry in entries:
        found = export.row(entry)
        costs = (_cost(name, found[name]) for name in COLUMNS)
        table.add_row(*runs.cells(entry.run_id), *costs)
    return table


def _cost(name: str, value: float | None) -> str:
    if value is None:
        return ABSENT
    if name == "share_of_peak":
        return percent(round(value, 3))
    return number(value / 1e9 if name == "achieved_flops_per_second" else value)
