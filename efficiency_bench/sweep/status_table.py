"""A sweep's runs as a terminal table: state, progress, accuracy, time left, compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from efficiency_bench.formatting import number
from efficiency_bench.report.tables.layout import (
    ABSENT,
    bare_table,
    indented,
    print_lines,
    print_table,
)
from efficiency_bench.run.progress import clock

STYLES = {"failed": "bold red", "preempted": "yellow", "running": "green", "waiting": "dim"}


def print_status(sweep: Mapping[str, Any], console: Console, wide: bool = False) -> None:
    """Print one row per run, the problems and the totals; fits 80 columns unless ``wide``."""
    print_table(runs_table(sweep, wide), console, wide)
    print_lines(remarks(sweep), console)


def runs_table(sweep: Mapping[str, Any], wide: bool = False) -> Table:
    """One line per run."""
    table = bare_table(f"Sweep {sweep['sweep']}")
    if wide:
        table.add_column("run id", no_wrap=True)
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("epochs", "accuracy %", "left", "tfs-days"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in sweep["runs"]:
        whole = (run["run_id"] or ABSENT,) if wide else ()
        table.add_row(*whole, *_cells(run), style=STYLES.get(run["state"], ""))
    return table


def remarks(sweep: Mapping[str, Any]) -> list[str]:
    """The problems, and the totals."""
    details = [f"{run['name']}: {run['detail']}" for run in sweep["runs"] if run["detail"]]
    return [*details, totals(sweep)]


def _drawn(sweep: Mapping[str, Any]) -> Group:
    return Group(runs_table(sweep), *map(indented, remarks(sweep)))


def _cells(run: Mapping[str, Any]) -> tuple[str, ...]:
    begun = run["total_epochs"] is not None
    reached = ABSENT if run["accuracy"] is None else f"{100 * run['accuracy']:.1f}"
    target = "" if run["target"] is None else f" of {100 * run['target']:.1f}"
    return (
        run["name"].replace("experiment=", ""),
        run["state"],
        f"{run['epochs']:.2f}/{run['total_epochs']:g}" if begun else ABSENT,
        f"{reached}{target}",
        ABSENT if run["left_seconds"] is None else clock(run["left_seconds"]),
        number(run["paper3x_tfs_days"]) if begun else ABSENT,
    )


def totals(sweep: Mapping[str, Any]) -> str:
    """Number of runs per state, compute so far and time left."""
    counts = [f"{count} {state}" for state, count in sweep["states"].items() if count]
    left = sweep["left_seconds"]
    spent = f"{number(sweep['paper3x_tfs_days'])} tfs-days so far" if _begun(sweep) else ""
    time = f"at most {clock(left)} left for those that have started" if left else ""
    return "; ".join(filter(None, (f"{', '.join(counts)}", spent, time)))


def _begun(sweep: Mapping[str, Any]) -> bool:
    return any(run["total_epochs"] is not None for run in sweep["runs"])


UNFINISHED = ("running", "preempted", "waiting")
"""States of runs that have not ended."""


def watch(
    read: Callable[[], Mapping[str, Any]], console: Console, pause: Callable[[], None]
) -> None:
    """Show the result of ``read`` after each ``pause`` until every run has ended.

    On a terminal, one table is redrawn; elsewhere a line of totals is printed whenever it changes,
    and the full table at the end.
    """
    sweep = read()
    if not console.is_terminal:
        latest = ""
        while _unfinished(sweep):
            if (line := totals(sweep)) != latest:
                print_lines([line], console)
            latest = line
            pause()
            sweep = read()
        print_status(sweep, console)
        return
    with Live(_drawn(sweep), console=console, auto_refresh=False) as live:
        while _unfinished(sweep):
            pause()
            sweep = read()
            live.update(_drawn(sweep), refresh=True)


def _unfinished(sweep: Mapping[str, Any]) -> bool:
    return any(sweep["states"][state] for state in UNFINISHED)
