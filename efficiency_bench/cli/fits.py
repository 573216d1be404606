"""Verbs that say what the ledger means: fits, without torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from efficiency_bench.cli.shared import (
    DEFAULT_LEDGER,
    DataName,
    EstimandName,
    Json,
    Source,
    TargetValue,
    TierName,
    print_json,
    read_entries,
    stdout_console,
)

if TYPE_CHECKING:
    from rich.console import Console


def fit(
    source: Source = str(DEFAULT_LEDGER),
    data: DataName = None,
    target: TargetValue = None,
    tier: TierName = None,
    estimand: EstimandName = None,
    variant: Annotated[
        Literal["frontier", "all"], typer.Option(help="Rows fitted: the running minimum, or all.")
    ] = "frontier",
    crossing: Annotated[
        Literal["sustained", "first"], typer.Option(help="Where a run counts as arrived.")
    ] = "sustained",
    currency: Annotated[
        Literal["paper3x", "exact"], typer.Option(help="3 x forward MACs, or exact FLOPs.")
    ] = "paper3x",
    sweep: Annotated[
        str | None, typer.Option(help="Halving time at every threshold: LOW:HIGH[:STEP].")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Folder for halving.png, .svg and .html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit the halving time: log2 compute against publication date, with its 95 % interval."""
    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.fitting.halving import halving_time
    from efficiency_bench.fitting.rows import fit_rows
    from efficiency_bench.fitting.second_opinions import second_opinions

    selection = Selection(data=data, target=target, tier=tier, estimand=estimand)
    entries = read_entries(source)
    if sweep is not None:
        from efficiency_bench.fitting.sweep import parse_sweep
        from efficiency_bench.fitting.sweep import sweep as sweep_thresholds
        from efficiency_bench.report.sweep_table import print_sweep

        low, high, step = parse_sweep(sweep)
        swept = sweep_thresholds(
            entries,
            selection,
            low,
            high,
            step,
            variant=variant,
            crossing=crossing,
            currency=currency,
        )
        shown(swept, print_sweep, as_json)
        return
    rows = fit_rows(entries, selection, crossing=crossing, currency=currency)
    result = halving_time(rows, variant)
    opinions = second_opinions(rows, result)
    if as_json:
        print_json({**result.model_dump(mode="json"), **opinions.model_dump(mode="json")})
    else:
        from efficiency_bench.report.opinions_table import print_opinions
        from efficiency_bench.report.tables import fit_table

        fit_table(result, stdout_console())
        print_opinions(opinions, stdout_console())
    if chart is not None:
        from efficiency_bench.report.charts import write_chart

        for path in write_chart(result, chart):
            print(f"wrote {path}", file=sys.stderr)


def conventions(
    source: Source = str(DEFAULT_LEDGER),
    data: DataName = None,
    target: TargetValue = None,
    tier: TierName = None,
    estimand: EstimandName = None,
    as_json: Json = False,
) -> None:
    """Fit again under every choice that hides in the headline, one at a time, and all together."""
    from efficiency_bench.fitting.conventions import conventions as tabulate
    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.report.conventions_table import print_conventions

    selection = Selection(data=data, target=target, tier=tier, estimand=estimand)
    shown(tabulate(read_entries(source), selection), print_conventions, as_json)


def decompose(
    source: Source = str(DEFAULT_LEDGER),
    old: Annotated[str | None, typer.Option("--from", help="MODEL,RECIPE of the old.")] = None,
    new: Annotated[str | None, typer.Option("--to", help="MODEL,RECIPE of the new.")] = None,
    data: DataName = None,
    target: TargetValue = None,
    tier: TierName = None,
    estimand: EstimandName = None,
    as_json: Json = False,
) -> None:
    """Split a gain into architecture and recipe; without --from and --to into epochs and images.

    The first needs all four combinations of the two models and the two recipes in the ledger.
    """
    from efficiency_bench.errors import UserError
    from efficiency_bench.fitting import decomposition
    from efficiency_bench.fitting.epochs_and_images import epochs_and_images
    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.report import decomposition_table as tables

    entries = read_entries(source)
    selection = Selection(data=data, target=target, tier=tier, estimand=estimand)
    if old is None and new is None:
        split = epochs_and_images(entries, selection)
        if as_json:
            print_json([row.model_dump(mode="json") for row in split])
        else:
            tables.print_epochs_and_images(split, stdout_console())
        return
    if old is None or new is None:
        raise UserError("--from and --to go together: --from alexnet,small_plain --to ...")
    corners = decomposition.parse_corner(old), decomposition.parse_corner(new)
    result = decomposition.decompose(entries, selection, *corners)
    shown(result, tables.print_decomposition, as_json)


def shown(result: Any, table: Callable[[Any, Console], None], as_json: bool) -> None:
    """Print a result as JSON or as its table."""
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        table(result, stdout_console())
