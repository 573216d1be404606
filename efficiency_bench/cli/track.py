"""`efficiency-bench track`: runs shown in W&B later, and the dashboard for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficiency_bench.cli.shared import DEFAULT_LEDGER, Json, print_json, print_line

FAULT = 1

app = typer.Typer(help="Show runs in Weights & Biases later, and make the dashboard for them.")

Project = Annotated[str, typer.Option(help="Project in W&B.")]


@app.command("sync")
def track_sync(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Run folders, ended or not; without, a ledger.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Folder of the ledger's entries.")
    ] = None,
    project: Project = "efficiency-bench",
    group: Annotated[str | None, typer.Option(help="Group; default: the run's suite.")] = None,
    as_json: Json = False,
) -> None:
    """Show runs in W&B from their event logs, each under its own id.

    Online with a key at hand, else into offline files.  What W&B has already of a run is not sent
    again, so that it can be typed twice.  Exit code 1 where a run could not be shown whole.
    """
    from efficiency_bench.errors import UserError
    from efficiency_bench.tracking.sync import of_folder, of_ledger, sync
    from efficiency_bench.tracking.wandb_mirror import Session

    if folders and ledger is not None:
        raise UserError("name run folders or --ledger DIR, not both")
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
        raise UserError("WANDB_MODE=disabled: nothing would be shown; unset it")
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
    entity: Annotated[str, typer.Option(help="User or team in W&B.")],
    project: Project = "efficiency-bench",
    as_json: Json = False,
) -> None:
    """Make the workspace that the curves belong on; needs a key.

    With --json it is printed and not saved, and no key is needed.
    """
    from efficiency_bench.tracking import dashboard

    built = dashboard.workspace(entity, project)
    if as_json:
        print_json(dashboard.as_json(built))
    else:
        print_line(str(dashboard.save(built)))
