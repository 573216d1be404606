"""`efficiency-bench ledger`: list, show, export and import entries; choose tuned rates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from efficiency_bench.cli.shared import (
    DEFAULT_LEDGER,
    AnyLedger,
    Json,
    LedgerDir,
    Wide,
    print_json,
    print_line,
    read_entries,
    stdout_console,
)
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.formatting import number

app = typer.Typer(help="List, show, export and import the entries of a ledger; choose tuned rates.")


@app.command("list")
def ledger_list(
    ledger: AnyLedger = DEFAULT_LEDGER, wide: Wide = False, as_json: Json = False
) -> None:
    """List the entries of a ledger.

    Every verb that takes a run id takes the short id of this table as well, or any other part of
    the run id that begins at its start or after a dash, if no other run has it.
    """
    from efficiency_bench.ledger.export import row
    from efficiency_bench.ledger.store import collector_paused

    with collector_paused():
        entries = read_entries(str(ledger))
        if as_json:
            print_json([row(entry) for entry in entries])
        else:
            from efficiency_bench.report.tables.fit_and_ledger import ledger_table
            from efficiency_bench.report.tables.layout import print_table

            print_table(ledger_table(entries, wide), stdout_console(), wide)


@app.command("show")
def ledger_show(run_id: str, ledger: AnyLedger = DEFAULT_LEDGER) -> None:
    """Print one entry as JSON; its short id of `ledger list` is enough."""
    from efficiency_bench.ledger.archive import as_folder
    from efficiency_bench.ledger.store import find

    with as_folder(ledger) as folder:
        print_json(find(folder, run_id).model_dump(mode="json"))


@app.command("crossings")
def ledger_crossings(
    ledger: AnyLedger = DEFAULT_LEDGER, wide: Wide = False, as_json: Json = False
) -> None:
    """Show where each run crossed its target: first, sustained, isotonic, with 95 % intervals.

    In epochs.  `new images` is the wider interval for new validation images of the same kind.
    """
    from efficiency_bench.report.tables.crossings import crossing_rows, crossings_table
    from efficiency_bench.report.tables.layout import print_table

    entries = read_entries(str(ledger))
    rows = list(crossing_rows(entries))
    if as_json:
        print_json(rows)
    else:
        print_table(crossings_table(rows, entries, wide), stdout_console(), wide)


@app.command("costs")
def ledger_costs(
    ledger: AnyLedger = DEFAULT_LEDGER, wide: Wide = False, as_json: Json = False
) -> None:
    """Show what each run's training cost: seconds, rates, energy and dollars; null if unknown.

    Evaluation and set-up are not included.  `of peak` is the achieved rate over that of a matrix
    product on the same machine.
    """
    from efficiency_bench.ledger.costs import COSTS
    from efficiency_bench.ledger.export import row

    entries = read_entries(str(ledger))
    if as_json:
        rows = map(row, entries)
        print_json([{name: found[name] for name in ("run_id", *COSTS)} for found in rows])
    else:
        from efficiency_bench.report.tables.fit_and_ledger import costs_table
        from efficiency_bench.report.tables.layout import print_table

        print_table(costs_table(entries, wide), stdout_console(), wide)


@app.command("export")
def ledger_export(
    table: Annotated[str | None, typer.Option(help="runs (default), curves or rows.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="csv (default), parquet or openai.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all tables, and datapackage.json.")
    ] = None,
    ledger: AnyLedger = DEFAULT_LEDGER,
) -> None:
    """Print a table for other programs: runs, learning curves, or the rows of the fits.

    `--out DIR` writes all tables as CSV and Parquet, and `datapackage.json`, which has the type,
    unit and meaning of every column. `--format openai` prints the runs in the columns of OpenAI's
    efficiency_sota.csv.
    """
    if out is None:
        _print_table(str(ledger), table, form)
        return
    if table is not None or form is not None:
        raise UserError(
            f"--out {out} with --table or --format is not possible: the folder gets every table in"
            " both formats\nleave out --table and --format, or --out to print one"
        )
    from efficiency_bench.report.export.package import write_package
    from efficiency_bench.report.export.tables import TABLES

    entries = read_entries(str(ledger))
    tables = [make(entries) for make in TABLES.values()]
    for path in write_package(tables, out):
        print_line(str(path))
    for problem in (problem for made in tables for problem in made.problems):
        print_line(problem, error=True)


def _print_table(ledger: str, table: str | None, form: str | None) -> None:
    from efficiency_bench.ledger.export import openai
    from efficiency_bench.report.export.formats import to_csv, to_parquet
    from efficiency_bench.report.export.tables import TABLES

    for kind, name, known in (
        ("table", table, tuple(TABLES)),
        ("export format", form, ("csv", "parquet", "openai")),
    ):
        if name is not None and name not in known:
            raise unknown(kind, name, known)
    entries = read_entries(ledger)
    if form == "openai":
        if table not in (None, "runs"):
            raise UserError(
                f"--table {table} with --format openai is not possible: its columns are of runs\n"
                "leave out --table, or take --format csv or parquet"
            )
        exported = openai(entries)
        for line in exported.left_out:
            print_line(f"left out: {line}", error=True)
        sys.stdout.write(exported.text)
        return
    made = TABLES[table or "runs"](entries)
    for problem in made.problems:
        print_line(problem, error=True)
    if form == "parquet":
        if sys.stdout.isatty():
            raise UserError(
                "--format parquet is not text and cannot be shown in a terminal\n"
                "write it to a file: efficiency-bench ledger export --format parquet > runs.parquet"
            )
        sys.stdout.buffer.write(to_parquet(made))
    else:
        sys.stdout.write(to_csv(made))


@app.command("rates")
def ledger_rates(
    ledger: Annotated[Path, typer.Argument(help="Ledger of the trials (suite=tuning).")],
    out: Annotated[Path, typer.Option(help="File to write: configs/tuned_rates/NAME.yaml.")],
    as_json: Json = False,
) -> None:
    """Choose each network's learning rate from trials on a part of the training images.

    `train rates=NAME` uses the file.  If the best rate is the lowest or highest that was tried,
    prints the command of the run that extends the search; run it, then this command again.
    """
    from efficiency_bench.ledger.rate_search import at_chance, chosen_rates, extensions
    from efficiency_bench.tuned_rates import write_rates

    entries = read_entries(str(ledger))
    rates = chosen_rates(entries)
    write_rates(rates, out)
    if as_json:
        print_json(rates.model_dump(mode="json"))
    for model, found in rates.rates.items():
        edge = " (at the edge)" if found.at_edge else ""
        print_line(
            f"{model}: {found.rate:g} of {len(found.tried)} rates, {rates.metric}"
            f" {100 * found.accuracy:.1f} %{edge}, search {number(found.search_tfs_days)} tfs-days",
            error=as_json,
        )
    print_line(f"written to {out}", error=as_json)
    for model in at_chance(entries):
        print_line(
            f"{model}: no better than guessing at any rate, so its rate was not chosen; look for a"
            " fault in its form or recipe,\nor give every network a larger share:"
            f" efficiency-bench train -m suite=tuning budget={2 * rates.budget:g} ledger_dir=DIR",
            error=True,
        )
    if commands := extensions(rates, entries, str(ledger)):
        print_line("extend the search where the best rate is at an edge:", error=True)
        for command in commands:
            print_line(f"  {command}", error=True)


@app.command("import")
def ledger_import(
    form: Annotated[str, typer.Argument(help="openai, dawnbench, ffcv or mllog.")],
    path: Annotated[Path, typer.Argument(help="A file, or a folder to search.")],
    ledger: LedgerDir = DEFAULT_LEDGER,
    metric: Annotated[
        Literal["top1", "top5"] | None, typer.Option(help="Accuracy that the target refers to.")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Target accuracy, a fraction; for ImageNet top5 0.791.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Charge this published network's exact MACs at 224 px.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set in DAWNBench's tables: imagenet or cifar10.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import other people's measurements: curves (tier imported) or numbers (tier published).

    Malformed lines are reported and skipped; existing entries are kept.
    """
    from efficiency_bench.ledger.importers import import_file_or_folder
    from efficiency_bench.ledger.store import EntryExists, append

    found = import_file_or_folder(form, path, metric=metric, target=target, model=model, data=data)
    added, there = [], 0
    for entry in found.entries:
        try:
            append(ledger, entry)
            added.append(entry)
        except EntryExists:
            there += 1
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in found.entries])
    print_line(
        f"imported {len(added)} entries into {ledger}, {there} already there;"
        f" skipped {len(found.skipped)}",
        error=as_json,
    )
    for skipped in found.skipped:
        print_line(f"  {skipped}", error=True)
