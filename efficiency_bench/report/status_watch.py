"""A sweep's table shown anew while its runs go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live

from efficiency_bench.report.layout import print_lines
from efficiency_bench.report.status_table import print_status, status_parts, totals

LASTING = ("running", "preempted", "waiting")
"""States of runs that have not ended."""


def watch(
    read: Callable[[], Mapping[str, Any]], console: Console, pause: Callable[[], None]
) -> None:
    """Show what ``read`` gives after each ``pause`` until every run has ended.

    A terminal has one table that changes; elsewhere a line of totals is printed when it is
    another than the last, and the whole table at the end.
    """
    sweep = read()
    if not console.is_terminal:
        latest = ""
        while _going_on(sweep):
            if (line := totals(sweep)) != latest:
                print_lines([line], console)
            latest = line
            pause()
            sweep = read()
        print_status(sweep, console)
        return
    with Live(Group(*status_parts(sweep)), console=console, auto_refresh=False) as live:
        while _going_on(sweep):
            pause()
            sweep = read()
            live.update(Group(*status_parts(sweep)), refresh=True)


def _going_on(sweep: Mapping[str, Any]) -> bool:
    return any(sweep["states"][state] for state in LASTING)
