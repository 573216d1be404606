"""`efficiency-bench track`: upload runs to W&B afterwards, and create a dashboard for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficiency_bench.cli.shared import DEFAULT_LEDGER, Json, print_json, print_line

FAULT = 1

app = typer.Typer(help="Upload runs to Weights & Biases, and create a dashboard for them.")

Project = Annotated[str, typer.Option(help="W&B project.")]


@app.command("sync")
def track_sync(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Run folders, finished or not; default: a ledger.")
    ] = None,
    ledger: Annotated[Path | None, typer.Option("--ledger", help="Folder of the ledger.")] = None,
    project: Project = "efficiency-bench",
    group: Annotated[str | None, typer.Option(help="Group; default: the run's suite.")] = None,
    as_json: Json = False,
) -> None:
    """Upload runs to W&B from their event logs, each under its run id.

    Without an API key, writes offline files instead.  What W&B already has of a run is not sent
    again.  Exit code 1 if a run could not be uploaded completely.
    """
    from efficiency_bench.errors import UserError
    from efficiency_bench.tracking.sync import of_folder, of_ledger, sync
    from efficiency_bench.tracking.wandb_mirror import Session

    if folders and ledger is not None:
        raise UserError(
            f"{folders[0]} with --ledger {ledger} is not possible: name run folders or a ledger,"
            " not both"
        )
    left_out: list[str] = []
    if folders:
        runs = [of_folder(folder) for folder in folders]
    else:
        runs, left_out = of_ledger(ledger or DEFAULT_LEDGER)
    for line in left_out:
        print_line(f"left out: {line}", error=True)
    session = Session(lambda text: print_line(text, error=True))
    wanted = session.mode
    if wanted == "disabled":
        raise UserError("WANDB_MODE=disabled prevents all uploads; unset it")
    rows = []
    for row in sync(runs, project, group, session):
        rows.append(row)
        print_line(f"{row['run_id']}: {row['failure'] or row['mode']}", error=True)
    if as_json:
        print_json(rows)
    whole = all(row["failure"] is None and row["mode"] == wanted for row in rows)
    raise typer.Exit(0 if whole else FAULT)


@app.command("dashboard")
def track_dashboard(
    entity: Annotated[str, typer.Option(help="W&B user or team.")],
    project: Project = "efficiency-bench",
    as_json: Json = False,
) -> None:
    """Create the W&B workspace for the curves; needs an API key.

    With --json, print it instead of saving it; this needs no key.
    """
    from efficiency_bench.tracking import dashboard

    built = dashboard.workspace(entity, project)
    if as_json:
        print_json(dashboard.as_json(built))
    else:
        print_line(str(dashboard.save(built)))
