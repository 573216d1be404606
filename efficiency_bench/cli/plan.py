"""The verb that estimates what runs would cost, before they start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficiency_bench.cli.completion import Overrides
from efficiency_bench.cli.shared import Json, print_json, print_line, stdout_console

EXAMPLES = (
    "Examples: plan experiment=resnet18 data=cifar10 | "
    "plan suite=paper data=imagenet hardware=h100x8 --budget 500usd | "
    "plan suite=paper data=imagenet hardware=mine.yaml --json"
)


def plan(
    overrides: Overrides = None,
    budget: Annotated[
        str | None, typer.Option(help="Spending limit: 500usd or 200gpu-hours.")
    ] = None,
    probe_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds of training per network to time it.")
    ] = 30.0,
    register: Annotated[
        Path | None, typer.Option(help="New file for the preregistration: target, rows, seeds.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate what runs would cost: compute, hours, energy, money, disk, and chance of success.

    KEY=VALUE arguments are those of `train`, and hardware=NAME: here (by default, where each
    network is timed), a machine of the table, or FILE.yaml.  Starts no runs.  `verify --registered
    FILE` later checks the ledger against the file of --register.
    """
    from efficiency_bench.plan.plan import plan as planned

    found = planned(
        overrides or [], probe_seconds, budget, lambda text: print_line(text, error=True), register
    )
    if as_json:
        print_json(found)
    else:
        from efficiency_bench.plan.table import print_plan

        print_plan(found, stdout_console())
