"""The verbs that train networks, show a sweep, or list models."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated

import typer

from efficiency_bench.cli.completion import Overrides
from efficiency_bench.cli.shared import Json, Wide, print_json, stdout_console, stoppable
from efficiency_bench.errors import UserError

WATCH_SECONDS = 2.0
"""Refresh interval of `status --watch`; runs log their progress every few seconds."""

TRAIN_EXAMPLES = (
    "Examples: train experiment=resnet18 data=cifar10 seed=1 | "
    "train model=resnet50 recipe=small_modern data=digits target.value=0.9 | "
    "train -m suite=card data=digits | train -m suite=paper hydra/launcher=slurm | "
    "train experiment=resnet18 --cfg job (shows every key)"
)


def train(overrides: Overrides = None, as_json: Json = False) -> None:
    """Train a run, or with -m a sweep, to its target and write the ledger entry.

    KEY=VALUE arguments are Hydra's: experiment=NAME or model=NAME recipe=NAME; data=digits,
    cifar10, cifar100, folder or imagenet, data.root=DIR; recipe.epochs=N, recipe.batch_size=N;
    target.metric=top1 or top5, target.value=0.6; budget=0.25 (of the baseline's compute),
    rates=NAME; seed=N, device=cpu, run_dir=DIR, ledger_dir=DIR, repeat=N; -m with suite=smoke,
    card, paper, history, tuning or ladder, or seed=0,1,2.

    --json prints the entries at the end, and while training the progress as a JSON object per line
    on standard error.
    """
    from efficiency_bench.run.processes import this_process

    with stoppable():
        from efficiency_bench.cli import train as training

        entries, exit_code = training.train(overrides or [], leaving=True, as_json=as_json)
    if as_json and this_process().is_main:
        rows = [entry.model_dump(mode="json") for entry in entries]
        print_json(rows[0] if len(rows) == 1 else rows)
    raise typer.Exit(exit_code)


def status(
    sweep: Annotated[
        str | None, typer.Argument(help="Name of a sweep, or a prefix; default: the latest.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh until every run has ended.")
    ] = False,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show every run of a sweep: state, progress, accuracy, time left, compute so far.

    Reads the records of the runs, so it works while they train, here or on a cluster that shares
    this folder.  Time left is until the end of the schedule, at the run's average speed so far.
    """
    from efficiency_bench.sweep.status import sweep_row

    if watch and (as_json or wide):
        raise UserError(
            f"--watch with {'--json' if as_json else '--wide'} is not possible: it redraws a table"
            f" of 80 columns;\ntype status {'--json' if as_json else '--wide'}, or status --watch"
        )
    row = sweep_row(sweep)
    if watch:
        from efficiency_bench.sweep.status_table import watch as watch_status

        with suppress(KeyboardInterrupt):  # Ctrl-C ends watching
            watch_status(
                lambda: sweep_row(row["sweep"]), stdout_console(), lambda: time.sleep(WATCH_SECONDS)
            )
    elif as_json:
        print_json(row)
    else:
        from efficiency_bench.sweep.status_table import print_status

        print_status(row, stdout_console(), wide)


def models(as_json: Json = False) -> None:
    """List every architecture in both forms: date, parameters, forward and backward MACs.

    Form imagenet is counted at 224 px and 1000 classes with auxiliary heads, small at 32 px and 10
    classes.  Share is a small form's forward MACs over those of the imagenet form; train
    model.scale=2 builds one with twice the share.
    """
    from efficiency_bench.counting.by_name import model_rows

    if as_json:
        print_json(list(model_rows()))
    else:
        from efficiency_bench.report.tables.audit import print_models

        print_models(model_rows(), stdout_console())
