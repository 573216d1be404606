"""Tables of a set's cost in each recorded currency, and of the counts behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.table import Table

from efficiency_bench.fitting.halving import HalvingTime
from efficiency_bench.formatting import number
from efficiency_bench.records import Entry
from efficiency_bench.report.page.results import NoResult, SetResults
from efficiency_bench.report.tables.layout import ABSENT, interval, one_decimal, plain_table

NOT_RECORDED = "not recorded"


def rates_table(results: SetResults) -> Table:
    """The halving time in each currency, or the reason why there is none."""
    table = plain_table("Halving time by currency", "currency", "halving, months", "95 %", "n")
    table.add_row("compute, 3 × forward MACs", *_rate(results.halving), style="bold")
    table.add_row("compute, exact FLOPs", *_rate(results.exact))
    for currency, fit in results.in_currency.items():
        table.add_row(currency, *_rate(fit))
    return table


def currency_lines(results: SetResults) -> tuple[str, ...]:
    """For each currency, the reason why it has no fit, or the notes of its fit."""
    lines = []
    for currency, fit in results.in_currency.items():
        reasons = [fit.reason] if isinstance(fit, NoResult) else fit.notes
        reasons = [reason for reason in reasons if reason not in results.rows.notes]
        lines += [f"{currency}: {' '.join(reason.split())}" for reason in reasons]
    return tuple(lines)


def currencies_table(results: SetResults) -> Table:
    """One row per network and recipe: compute to the target, and wall clock of its whole runs."""
    table = plain_table(
        "Cost of each row",
        "network, recipe",
        "tfs-days to target",
        "FLOP to target",
        "training clock, s",
        "hardware",
    )
    by_id = {entry.run_id: entry for entry in results.entries}
    exact = {} if isinstance(results.exact, NoResult) else _computes(results.exact)
    for row in results.rows.rows:
        seeds = [by_id[run_id] for run_id in row.run_ids]
        table.add_row(
            f"{row.model}, {row.recipe}",
            _known(row.compute),
            _known(exact.get(row.run_ids[0])),
            _clock(seeds),
            _hardware(seeds),
        )
    return table


def account_table(results: SetResults) -> Table:
    """One line per training segment of each row's first run."""
    table = plain_table(
        "Counts of one training image, and the images of the first seed",
        "network, recipe",
        "px",
        "images",
        "F, MMAC",
        "F1, MMAC",
        "B, MMAC",
        "passes",
    )
    by_id = {entry.run_id: entry for entry in results.entries}
    for row in results.rows.rows:
        segments = by_id[row.run_ids[0]].segments
        name = f"{row.model}, {row.recipe}"
        for part in segments:
            macs = (part.forward_macs, part.first_layer_macs, part.backward_macs)
            figures = (number(value / 1e6) for value in macs)
            images = f"{part.images:,}"
            table.add_row(name, str(part.resolution_px), images, *figures, str(part.passes))
        if not segments:
            table.add_row(name, *[ABSENT] * 6)
    return table


def operators_table(results: SetResults) -> Table:
    """One line per operator of each row's first run: its forward MACs and its fraction of F."""
    table = plain_table(
        "Forward MACs of one training image by operator, at the largest side",
        "network, recipe",
        "operator",
        "MMAC",
        "% of F",
    )
    for row in results.rows.rows:
        by_operator = results.operators.get(row.run_ids[0], {})
        total = sum(by_operator.values())
        for operator, macs in sorted(by_operator.items(), key=lambda item: -item[1]):
            share = f"{100 * macs / total:.2f}"
            table.add_row(f"{row.model}, {row.recipe}", operator, number(macs / 1e6), share)
    return table


def _rate(fit: HalvingTime | NoResult) -> tuple[str, str, str]:
    if isinstance(fit, NoResult):
        return "no fit", ABSENT, ABSENT
    bounds = interval(fit.low_months, fit.high_months)
    return one_decimal(fit.halving_months), bounds, str(fit.n)


def _computes(fit: HalvingTime) -> dict[str, float | None]:
    return {row["run_ids"][0]: row["compute"] for row in fit.rows}


def _known(compute: float | None) -> str:
    return ABSENT if compute is None else number(compute)


def _clock(seeds: Sequence[Entry]) -> str:
    """Mean training seconds over the seeds that recorded them."""
    seconds = [entry.clocks.train_seconds for entry in seeds if entry.clocks]
    return number(math.fsum(seconds) / len(seconds)) if seconds else NOT_RECORDED


def _hardware(seeds: Iterable[Entry]) -> str:
    facts = [entry.provenance.hardware for entry in seeds if entry.provenance]
    names = {str(fact.get("card") or fact.get("cpu") or "unnamed") for fact in facts}
    return ", ".join(sorted(names)) or NOT_RECORDED
