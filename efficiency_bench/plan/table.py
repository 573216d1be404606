"""The plan of a sweep as a terminal table, and the source of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from efficiency_bench.formatting import number
from efficiency_bench.report.tables.ladders import share
from efficiency_bench.report.tables.layout import ABSENT, plain_table, print_lines

Row = Mapping[str, Any]

MARKS = {"published": "p", "ledger": "l", "schedule": "s"}
LIMITS = {"arithmetic": "a", "loader": "l"}
COLUMNS = ("epochs", "tfs-days", "images/s", "hours", "kWh", "USD", "arrives %")
GIGABYTE = 1e9


def print_plan(plan: Mapping[str, Any], console: Console) -> None:
    """Print one row per run, totals, what a budget buys, and assumptions; fits 80 columns."""
    console.print(plan_table(plan))
    console.print(
        "epochs: p published in 2020, l this ledger, s the whole schedule; - unknown", style="dim"
    )
    console.print("images/s: limited by a arithmetic, l loading", style="dim", highlight=False)
    console.print()
    print_lines([*_totals(plan), *(f"left out: {why}" for why in plan["left_out"])], console)
    if plan["budget"] is not None:
        print_lines(_bought(plan["budget"], len(plan["runs"])), console)
    console.print("Estimated from:", style="bold")
    print_lines(assumptions(plan), console)


def plan_table(plan: Mapping[str, Any]) -> Table:
    """One line per run; with a budget, in buying order, and runs beyond the budget are dimmed."""
    hardware, budget = plan["hardware"]["name"], plan["budget"]
    table = plain_table(f"Plan for hardware={hardware}", "run", *COLUMNS)
    seeds = len({(row["seed"], row["repeat"]) for row in plan["runs"]}) > 1
    scales = len({row["scale"] for row in plan["runs"]}) > 1
    for place, row in enumerate(plan["runs"]):
        beyond = budget is not None and place >= budget["runs_bought"]
        table.add_row(*_cells(row, seeds, scales), style="dim" if beyond else "")
        if budget is not None and place + 1 == budget["runs_bought"]:
            table.add_section()
    return table


def _cells(row: Row, seeds: bool, scales: bool) -> tuple[str, ...]:
    name = row["experiment"] or row["model"]
    name += f" at {row['scale']:g}" if scales else ""
    name += "" if row["experiment"] else f" {row['recipe']}"
    name += "" if row["budget"] is None else f" {share(row['budget'])}"
    return (
        f"{name} s{row['seed']}" if seeds else name,
        f"{row['epochs_to_target']:.3g} {MARKS[row['epochs_source']]}",
        number(row["paper3x_tfs_days"]),
        f"{number(row['images_per_second'])} {LIMITS[row['limit']]}",
        number(row["hours"]),
        _known(row["energy_kilowatt_hours"]),
        _known(row["cost_usd"]),
        _chance(row),
    )


def _known(value: float | None) -> str:
    return ABSENT if value is None else number(value)


def _total(value: float | None) -> str:
    return "unknown" if value is None else number(value)


def _chance(row: Row) -> str:
    chance = row["chance_to_arrive"]
    if row["is_baseline"]:
        return "sets it"
    return ABSENT if chance is None else f"{100 * chance['low']:.0f}-{100 * chance['high']:.0f}"


def _totals(plan: Mapping[str, Any]) -> list[str]:
    total, size = plan["total"], plan["data_set"]
    runs = len(plan["runs"])
    whole = "unknown" if size["disk_bytes"] is None else f"{size['disk_bytes'] / GIGABYTE:.3g} GB"
    return [
        f"{runs} run{'s' * (runs > 1)} one after the other: {number(total['hours'])} hours"
        f" ({number(total['device_hours'])} device-hours), {_total(total['energy_kilowatt_hours'])}"
        f" kWh, {_total(total['cost_usd'])} USD, {number(total['paper3x_tfs_days'])} tfs-days to"
        " the targets",
        f"disk: {total['most_checkpoint_bytes'] / GIGABYTE:.3g} GB of checkpoints at most at a"
        f" time, {total['logs_bytes'] / GIGABYTE:.3g} GB of logs, {whole} of data"
        f" ({size['source']})",
    ]


def _bought(budget: Mapping[str, Any], runs: int) -> list[str]:
    return [
        f"{number(budget['amount'])} {budget['unit']} buy {budget['runs_bought']} of {runs} runs"
        f" ({number(budget['spent'])} {budget['unit']}), in this order",
        f"order: {budget['rule']}",
    ]


def assumptions(plan: Mapping[str, Any]) -> list[str]:
    """One sentence per column: how it is estimated and how reliable that is."""
    hardware, rows = plan["hardware"], plan["runs"]
    here = "utilisation" not in hardware
    return [
        "epochs: table 3 of 2020, for its recipe at its level; else the mean crossing of the same"
        " row in the ledger; else the whole schedule, which is the most it can take",
        "tfs-days: MACs x 3 x images to the target (paper3x)",
        _speed(plan, here),
        f"loading: {_distinct(rows, 'loader_source')}",
        "hours: until the target is confirmed, with evaluations at the finer cadence throughout;"
        " setting up, saving and queues not included",
        "kWh: "
        + ("" if here else "each board at ")
        + f"{_distinct(rows, 'energy_source')}"
        + ("" if here else ", without the host"),
        _price(plan),
        "arrives: Jeffreys' 95 % interval from the runs of the same row in the ledger; - where"
        " it has none",
    ]


def _speed(plan: Mapping[str, Any], here: bool) -> str:
    if here:
        seen = _distinct(plan["runs"], "arithmetic_source")
        return f"images/s: real steps on synthetic images here, {seen}"
    hardware = plan["hardware"]
    several = (
        f" On {hardware['devices']} devices at best, not measured:"
        f" {_distinct(plan['runs'], 'arithmetic_source')}."
    )
    return (
        f"images/s: {hardware['utilisation']:.1%} of the peak ({hardware['peak_source']}):"
        f" {hardware['utilisation_source']}. One figure for all networks: small ones and those"
        " with depthwise convolutions reach less, and their hours are too few"
        f"{'.' + several if hardware['devices'] > 1 else ''}"
    )


def _price(plan: Mapping[str, Any]) -> str:
    price, hardware = plan["price_usd_per_hour"], plan["hardware"]
    if price is None:
        return "USD: no price known; give one with price_usd_per_hour="
    if price != hardware.get("price_usd_per_hour"):
        return f"USD: price_usd_per_hour={price:g}, as given"
    return f"USD: {price:g} an hour, {hardware['price_source']}, read {hardware['price_date']}"


def _distinct(rows: Sequence[Row], key: str) -> str:
    return "; ".join(dict.fromkeys(str(row[key]) for row in rows))
