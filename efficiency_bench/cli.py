"""The command line: `efficiency-bench VERB`.

Each verb imports what it needs when it runs, so that `--help`, `fit` and `ledger` start without
torch.  Exit codes: 0 done, 1 ended by a fault, 2 the user's mistake, 75 stopped by a signal.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from efficiency_bench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from efficiency_bench.records import Entry

DISAGREEMENT = 1
USER_MISTAKE = 2

Tier = Literal["measured", "imported", "published"]
Estimand = Literal["anytime", "budgeted"]

app = typer.Typer(
    help="Measure how fast the compute to train a network to a fixed accuracy falls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
ledger_app = typer.Typer(help="List, show and export the entries of a ledger.")
app.add_typer(ledger_app, name="ledger", no_args_is_help=True)

LedgerDir = Annotated[Path, typer.Option("--ledger", help="Folder of the ledger's entries.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON only, the rest to stderr.")]
DEFAULT_LEDGER = Path("runs/ledger")


def main() -> None:
    """Entry point: run a verb; the user's mistake is one or two lines and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app()
    except UserError as error:
        print(f"efficiency-bench: {error}", file=sys.stderr)
        sys.exit(USER_MISTAKE)
    except BrokenPipeError:  # `... | head` closed the pipe: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Examples: train experiment=resnet18 data=cifar10 seed=1 | "
    "train model=resnet50 recipe=small_modern data=digits target.value=0.9 | "
    "train -m suite=card data=digits | train experiment=resnet18 --cfg job (shows every key)",
)
def train(context: typer.Context, as_json: Json = False) -> None:
    """Train a run, or with -m a sweep, to its target and write the ledger entry.

    KEY=VALUE arguments are Hydra's: experiment=NAME or model=NAME recipe=NAME; data=digits,
    cifar10, cifar100 or imagenet, data.root=DIR; recipe.epochs=N, recipe.batch_size=N;
    target.metric=top1 or top5, target.value=0.6; seed=N, device=cpu, run_dir=DIR,
    ledger_dir=DIR, repeat=N; -m with suite=smoke, card or paper, or seed=0,1,2.
    """
    from efficiency_bench.campaign.sweep import train_all

    entries, exit_code = train_all(context.args)
    if as_json:
        print_json(entries[0] if len(entries) == 1 else entries)
    raise typer.Exit(exit_code)


@app.command()
def fit(
    source: Annotated[str, typer.Argument(help="`published`, or the folder of a ledger.")] = str(
        DEFAULT_LEDGER
    ),
    data: Annotated[str | None, typer.Option(help="Data name or digest prefix.")] = None,
    target: Annotated[float | None, typer.Option(help="Target, a fraction: 0.791.")] = None,
    tier: Annotated[Tier | None, typer.Option(help="Where the rows come from.")] = None,
    estimand: Annotated[Estimand | None, typer.Option(help="What the target was held to.")] = None,
    variant: Annotated[
        Literal["frontier", "all"], typer.Option(help="Rows fitted: the running minimum, or all.")
    ] = "frontier",
    crossing: Annotated[
        Literal["sustained", "first"], typer.Option(help="Where a run counts as arrived.")
    ] = "sustained",
    currency: Annotated[
        Literal["paper3x", "exact"], typer.Option(help="3 x forward MACs, or exact FLOPs.")
    ] = "paper3x",
    chart: Annotated[
        Path | None, typer.Option(help="Folder for halving.png, .svg and .html.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit the halving time: log2 compute against publication date, with its 95 % interval."""
    from efficiency_bench.fitting.groups import Selection
    from efficiency_bench.fitting.halving import halving_time
    from efficiency_bench.fitting.rows import fit_rows

    selection = Selection(data=data, target=target, tier=tier, estimand=estimand)
    rows = fit_rows(read_entries(source), selection, crossing=crossing, currency=currency)
    result = halving_time(rows, variant)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        from efficiency_bench.report.tables import fit_table

        fit_table(result, stdout_console())
    if chart is not None:
        from efficiency_bench.report.charts import write_chart

        for path in write_chart(result, chart):
            print(f"wrote {path}", file=sys.stderr)


@app.command()
def models(as_json: Json = False) -> None:
    """List every architecture in both forms: date, parameters, forward and backward MACs.

    They are counted now, a second or two each: imagenet at 224 px and 1000 classes with the
    auxiliary heads on, small at 32 px and 10 classes.
    """
    from efficiency_bench.campaign.models_listing import model_rows

    if as_json:
        print_json(list(model_rows()))
    else:
        from efficiency_bench.report.models_table import print_models

        print_models(model_rows(), stdout_console())


@app.command()
def verify(
    run_id: Annotated[str | None, typer.Argument(help="A run id or its beginning; all.")] = None,
    ledger: LedgerDir = DEFAULT_LEDGER,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder that holds the data sets, to check their digest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute every number of the entries from their event logs and configurations.

    Exit code 1 if a rule fails.  What cannot be checked here (data that is not at hand) is
    skipped and said; `--ledger published` verifies the published rows.
    """
    from efficiency_bench.campaign.verification import verify_ledger
    from efficiency_bench.report.verification_lines import as_row, print_verifications

    results = verify_ledger(str(ledger), run_id, data_root)
    if as_json:
        print_json([as_row(result) for result in results])
    else:
        print_verifications(results, stdout_console())
    raise typer.Exit(0 if all(result.ok for result in results) else DISAGREEMENT)


@ledger_app.command("list")
def ledger_list(ledger: LedgerDir = DEFAULT_LEDGER, as_json: Json = False) -> None:
    """List the entries of a ledger."""
    from efficiency_bench.ledger.listing import row

    entries = read_entries(str(ledger))
    if as_json:
        print_json([row(entry) for entry in entries])
    else:
        from efficiency_bench.report.tables import ledger_table

        stdout_console().print(ledger_table(entries))


@ledger_app.command("show")
def ledger_show(run_id: str, ledger: LedgerDir = DEFAULT_LEDGER) -> None:
    """Show one entry whole, as JSON; a unique beginning of its run id is enough."""
    from efficiency_bench.ledger.store import find

    print_json(find(ledger, run_id).model_dump(mode="json"))


@ledger_app.command("export")
def ledger_export(
    form: Annotated[str, typer.Option("--format", help="csv or openai.")] = "csv",
    ledger: LedgerDir = DEFAULT_LEDGER,
) -> None:
    """Print the ledger as CSV, or in the columns of OpenAI's efficiency_sota.csv."""
    from efficiency_bench.ledger.export import export

    exported = export(read_entries(str(ledger)), form)
    for line in exported.left_out:
        print(f"left out: {line}", file=sys.stderr)
    sys.stdout.write(exported.text)


def read_entries(source: str) -> tuple[Entry, ...]:
    """Entries of ``published`` or of a ledger folder; what could not be read is named."""
    if source == "published":
        from efficiency_bench.ledger.reference import published_entries

        return published_entries()
    from efficiency_bench.ledger.store import read

    ledger = read(Path(source))
    for problem in ledger.problems:
        print(f"not read: {problem.path}: {problem.reason}", file=sys.stderr)
    return ledger.entries


def print_json(value: Any) -> None:
    """Write JSON to standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def stdout_console() -> Console:
    """A console on standard output that follows NO_COLOR and the terminal's width."""
    from rich.console import Console

    return Console()


if __name__ == "__main__":
    main()
