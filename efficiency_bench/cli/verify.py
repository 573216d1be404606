"""The verbs that check counts, entries, reproducibility and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from efficiency_bench.cli.completion import Overrides
from efficiency_bench.cli.shared import (
    DEFAULT_LEDGER,
    DISAGREEMENT,
    STOPPED,
    AnyLedger,
    Json,
    LedgerDir,
    print_json,
    print_line,
    read_entries,
    stdout_console,
    stoppable,
)


def audit(
    model: Annotated[str, typer.Argument(help="A registered name, timm:NAME or torchvision:NAME.")],
    resolution: Annotated[int, typer.Option(min=1, help="Side of the image, px.")] = 224,
    as_json: Json = False,
) -> None:
    """Count a network's forward and backward MACs with two counters, and compare them.

    One counts in fvcore's trace, the other during a real training step.  Exit code 1 if they
    differ by a single MAC, or if an operator is unknown.
    """
    from efficiency_bench.counting.by_name import audit_model, audit_row
    from efficiency_bench.report.tables.audit import print_audit

    row = audit_row(model, audit_model(model, resolution))
    if as_json:
        print_json(row)
    else:
        print_audit(row, stdout_console())
    raise typer.Exit(0 if row["agrees"] else DISAGREEMENT)


def verify(
    run_id: Annotated[
        str | None, typer.Argument(help="A run id or its short id; default: all.")
    ] = None,
    ledger: AnyLedger = DEFAULT_LEDGER,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder that holds the data sets, to check their digest.")
    ] = None,
    registered: Annotated[
        list[Path] | None,
        typer.Option(help="A preregistration, see plan --register; can be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute every number of the entries from their event logs and configurations.

    Exit code 1 unless every entry is verified: it fails if something disagrees, and is not
    confirmed if something that matters cannot be checked.  Data that is not here is skipped.
    Entries are shown to be consistent; that a run happened, only `reproduce` by somebody else
    shows.  `--ledger published` verifies the published rows.
    """
    from efficiency_bench.reproducibility.data_and_counts import verify_ledger
    from efficiency_bench.verify import preregistration
    from efficiency_bench.verify.lines import as_row, print_verifications

    decided = [preregistration.read(path) for path in registered or ()]
    results = verify_ledger(str(ledger), run_id, data_root, decided)
    if decided and run_id is None:
        entries = read_entries(str(ledger))
        for each in decided:
            for run in preregistration.missing(each, entries):
                print_line(f"{each.data}: registered, but not trained yet: {run}", error=True)
    if as_json:
        print_json([as_row(result) for result in results])
    else:
        print_verifications(results, stdout_console())
    raise typer.Exit(0 if all(result.ok for result in results) else DISAGREEMENT)


def reproduce(
    run_id: Annotated[str, typer.Argument(help="A run id of the ledger, or its short id.")],
    ledger: LedgerDir = DEFAULT_LEDGER,
    data_root: Annotated[Path | None, typer.Option(help="Folder that holds the data set.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the new run.")] = Path("runs/reproduce"),
    as_json: Json = False,
) -> None:
    """Train a run of the ledger again and compare the two results.

    With the same versions and processor, they must agree bit for bit; otherwise the new run must
    lie within the 95 % prediction interval of the ledger's seeds.  Exit code 1 if not.
    """
    from efficiency_bench.reproducibility.rerun import as_row, print_reproduction
    from efficiency_bench.reproducibility.rerun import reproduce as train_again

    with stoppable():
        result = train_again(ledger, run_id, data_root, out)
    if result is None:
        raise typer.Exit(STOPPED)
    row = as_row(result)
    if as_json:
        print_json(row)
    else:
        print_reproduction(row, stdout_console())
    raise typer.Exit(0 if result.ok else DISAGREEMENT)


def verify_resume(
    overrides: Overrides = None,
    kills: Annotated[int, typer.Option(min=1, help="Number of kills.")] = 20,
    draw: Annotated[int, typer.Option(min=0, help="Seed of the times of the kills.")] = 0,
    out: Annotated[Path, typer.Option(help="New folder for both runs.")] = Path(
        "runs/verify-resume"
    ),
    as_json: Json = False,
) -> None:
    """Kill a run repeatedly with SIGKILL and check that it ends like an uninterrupted run.

    KEY=VALUE arguments are those of `train`.  Half of the kills come at a random time, half just
    before or after a random write to disk.  Exit code 1 if anything differs: weights, evaluations,
    compute, crossings, or an entry that does not follow from its log.
    """
    from efficiency_bench.reproducibility.kill_test import command

    problems, row = command(overrides or [], out, kills, draw)
    if as_json:
        print_json(row)
    raise typer.Exit(DISAGREEMENT if problems else 0)
