"""Verbs that say what the ledger means: fits, without torch."""

from __future__ import annotations

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
    Until,
    print_json,
    print_line,
    read_entries,
    stdout_console,
)

AxisName = Annotated[
    Literal["architecture", "recipe"],
    typer.Option(help="What varies: architectures with one recipe, or recipes with one model."),
]
RecipeName = Annotated[
    str | None,
    typer.Option(help="The one recipe of the architecture axis; small_2020 if there are rows."),
]
ModelName = Annotated[
    str | None,
    typer.Option(help="The one model of the recipe axis; the one with most recipes."),
]
ScaleValue = Annotated[
    float | None,
    typer.Option(help="model.scale of the small forms that are compared; the baseline's."),
]

if TYPE_CHECKING:
    from rich.console import Console

    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.records import Entry


def fit(
    source: Source = str(DEFAULT_LEDGER),
    data: DataName = None,
    target: TargetValue = None,
    tier: TierName = None,
    estimand: EstimandName = None,
    until: Until = None,
    method: Annotated[
        Literal["censored", "frontier"] | None,
        typer.Option(
            help="censored: regression over all rows, those that never arrived as bounds (measured "
            "rows).  frontier: least squares, the method of 2020 (published rows)."
        ),
    ] = None,
    axis: AxisName = "architecture",
    recipe: RecipeName = None,
    model: ModelName = None,
    scale: ScaleValue = None,
    variant: Annotated[
        Literal["frontier", "all"] | None,
        typer.Option(help="Rows of least squares: the running minimum, or all that arrived."),
    ] = None,
    crossing: Annotated[
        Literal["sustained", "first"], typer.Option(help="Where a run counts as arrived.")
    ] = "sustained",
    currency: Annotated[
        Literal["compute", "paper3x", "exact", "seconds", "energy", "dollars"],
        typer.Option(
            help="paper3x (or compute): 3 x forward MACs; exact FLOPs; or what training cost."
        ),
    ] = "paper3x",
    hardware: Annotated[
        str | None, typer.Option(help="Machine whose seconds, energy or dollars are fitted.")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help="Halving time at every threshold: LOW:HIGH[:STEP].")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Folder for halving.png, .svg and .html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit the halving time: log2 compute against publication date, with its 95 % interval.

    Prints which method it used and why, and the other method's result beside it.
    """
    from efficiency_bench.errors import UserError
    from efficiency_bench.fitting.groups import Selection

    selection = Selection(
        data=data,
        target=target,
        tier=tier,
        estimand=estimand,
        until=None if until is None else until.date(),
        axis=axis,
        recipe=recipe,
        model=model,
        scale=scale,
    )
    entries = read_entries(source)
    choices = {
        "method": method,
        "variant": variant,
        "crossing": crossing,
        "currency": "paper3x" if currency == "compute" else currency,
    }
    of_a_machine = currency in ("seconds", "energy", "dollars")
    if sweep is not None and (of_a_machine or hardware is not None):
        raise UserError(
            "a sweep reads compute only: leave out --sweep, or --currency and --hardware"
        )
    if sweep is None:
        fit_one(entries, selection, choices | {"hardware": hardware}, chart, as_json)
    elif chart is None:
        fit_sweep(entries, selection, choices, sweep, as_json)
    else:
        raise UserError("a sweep has no chart yet: leave out --chart, or --sweep")


def fit_one(
    entries: tuple[Entry, ...],
    selection: Selection,
    choices: dict[str, Any],
    chart: Path | None,
    as_json: bool,
) -> None:
    """One fit with its robustness checks, and its chart where a folder is named."""
    from efficiency_bench.fitting.fit import fit

    result = fit(entries, selection, **choices)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        from efficiency_bench.report.tables.fit_and_ledger import print_fit
        from efficiency_bench.report.tables.robustness import print_robustness

        print_fit(result, stdout_console())
        print_robustness(result, stdout_console())
    if chart is not None:
        from efficiency_bench.report.charts.halving_chart import write_chart

        for path in write_chart(result, chart):
            print_line(f"wrote {path}", error=True)


def fit_sweep(
    entries: tuple[Entry, ...],
    selection: Selection,
    choices: dict[str, Any],
    thresholds: str,
    as_json: bool,
) -> None:
    """The fit at every threshold."""
    from efficiency_bench.fitting.sensitivity.threshold_sweep import parse_sweep, sweep
    from efficiency_bench.report.tables.threshold_sweep import print_sweep

    swept = sweep(entries, selection, *parse_sweep(thresholds), **choices)
    shown(swept, print_sweep, as_json)


def conventions(
    source: Source = str(DEFAULT_LEDGER),
    data: DataName = None,
    target: TargetValue = None,
    tier: TierName = None,
    estimand: EstimandName = None,
    axis: AxisName = "architecture",
    recipe: RecipeName = None,
    model: ModelName = None,
    scale: ScaleValue = None,
    as_json: Json = False,
) -> None:
    """Fit again under every choice that hides in the headline, one at a time, and all together."""
    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.fitting.sensitivity.conventions import conventions as tabulate
    from efficiency_bench.report.tables.conventions import print_conventions

    selection = Selection(
        data=data,
        target=target,
        tier=tier,
        estimand=estimand,
        axis=axis,
        recipe=recipe,
        model=model,
        scale=scale,
    )
    shown(tabulate(read_entries(source), selection), print_conventions, as_json)


def decompose(
    source: Source = str(DEFAULT_LEDGER),
    old: Annotated[str | None, typer.Option("--from", help="MODEL,RECIPE of the old.")] = None,
    new: Annotated[str | None, typer.Option("--to", help="MODEL,RECIPE of the new.")] = None,
    at: Annotated[
        float | None, typer.Option(help="Accuracy (a fraction) to split at; without: the target.")
    ] = None,
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
    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.fitting.sensitivity import decomposition
    from efficiency_bench.fitting.sensitivity.epochs_and_images import epochs_and_images
    from efficiency_bench.report.tables import decomposition as tables

    entries = read_entries(source)
    selection = Selection(data=data, target=target, tier=tier, estimand=estimand)
    if old is None and new is None:
        if at is not None:
            raise UserError("--at needs two corners: add --from and --to, or leave --at out")
        split = epochs_and_images(entries, selection)
        if as_json:
            print_json([row.model_dump(mode="json") for row in split])
        else:
            tables.print_epochs_and_images(split, stdout_console())
        return
    if old is None or new is None:
        raise UserError("--from and --to go together: --from alexnet,small_plain --to ...")
    corners = decomposition.parse_corner(old), decomposition.parse_corner(new)
    result = decomposition.decompose(entries, selection, *corners, at=at)
    shown(result, tables.print_decomposition, as_json)


def shown(result: Any, table: Callable[[Any, Console], None], as_json: bool) -> None:
    """Print a result as JSON or as its table."""
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        table(result, stdout_console())
