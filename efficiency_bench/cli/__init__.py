"""The command line: `efficiency-bench VERB`.

Each verb imports what it needs when it runs, so that `--help`, `fit` and `ledger` start without
torch.  Exit codes: 0 done, 1 ended by a fault, 2 the user's mistake, 75 stopped by a signal.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from efficiency_bench.cli import data, doctor, fit, ledger, plan, report, runs, track, verify
from efficiency_bench.cli.shared import USER_MISTAKE, print_line
from efficiency_bench.errors import UserError
from efficiency_bench.formatting import visible
from efficiency_bench.run.processes import joined, this_process

app = typer.Typer(
    help="Measure how fast the compute to train a network to a fixed accuracy falls.",
    pretty_exceptions_enable=False,
)

FIRST_COMMANDS = """\
efficiency-bench train -m suite=card data=digits   train five small networks
efficiency-bench report --out report               write a page of the results
efficiency-bench fit --data digits                 fit the halving time to them

All verbs: efficiency-bench --help    One verb: efficiency-bench train --help
What this machine has and lacks: efficiency-bench doctor"""

EXAMPLES = {
    "train": "train -m suite=card data=digits",
    "status": "status --watch",
    "data fetch": "data fetch cifar10 --root data",
    "data cut-cifar10": "data cut-cifar10 data/subset --root data",
    "data write-ffcv": "data write-ffcv imagenet imagenet-ffcv",
    "data check-ffcv": "data check-ffcv imagenet-ffcv",
    "data write-memory": "data write-memory imagenet imagenet-160 --side-px 160",
    "data check-memory": "data check-memory imagenet-160",
    "track sync": "track sync --ledger runs/ledger",
    "track dashboard": "track dashboard --entity NAME",
    "report": "report --out report",
    "fit": "fit published",
    "conventions": "conventions published",
    "decompose": "decompose --from alexnet,small_plain --to resnet18,small_modern",
    "ledger list": "ledger list",
    "ledger show": "ledger show RUN_ID",
    "ledger crossings": "ledger crossings",
    "ledger costs": "ledger costs",
    "ledger export": "ledger export --table runs",
    "ledger import": "ledger import mllog result_0.txt",
    "ledger rates": "ledger rates runs/tuning/ledger --out rates.yaml",
    "verify": "verify",
    "audit": "audit resnet50",
    "reproduce": "reproduce RUN_ID",
    "verify-resume": "verify-resume experiment=alexnet data=digits",
    "doctor": "doctor",
    "plan": "plan suite=paper data=imagenet hardware=h100x8",
    "models": "models",
}
"""Verb -> the command with which its help begins."""

HYDRAS_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}
MEASURE, LOOK, CHECK, PLAN = "Measure", "Look at results", "Check", "Plan"


@app.callback(invoke_without_command=True)
def first_commands(context: typer.Context) -> None:
    """Without a verb, print the three commands that a newcomer wants; exit code 2."""
    if context.invoked_subcommand is None:
        print_line(FIRST_COMMANDS)
        raise typer.Exit(USER_MISTAKE)


def _add(verb: Callable[..., None], panel: str, **settings: Any) -> None:
    app.command(rich_help_panel=panel, **settings)(verb)


_add(runs.train, MEASURE, context_settings=HYDRAS_ARGUMENTS, epilog=runs.TRAIN_EXAMPLES)
_add(runs.status, MEASURE)
app.add_typer(data.app, name="data", no_args_is_help=True, rich_help_panel=MEASURE)
app.add_typer(track.app, name="track", no_args_is_help=True, rich_help_panel=MEASURE)
_add(report.report, LOOK)
_add(fit.fit, LOOK)
_add(fit.conventions, LOOK)
_add(fit.decompose, LOOK)
app.add_typer(ledger.app, name="ledger", no_args_is_help=True, rich_help_panel=LOOK)
_add(verify.verify, CHECK)
_add(verify.audit, CHECK)
_add(verify.reproduce, CHECK)
_add(verify.verify_resume, CHECK, context_settings=HYDRAS_ARGUMENTS)
_add(doctor.doctor, CHECK)
_add(plan.plan, PLAN, context_settings=HYDRAS_ARGUMENTS, epilog=plan.EXAMPLES)
_add(runs.models, PLAN)


def _begin_with_examples(group: typer.Typer, prefix: str = "") -> None:
    """Begin the help of each verb with its example; lists of verbs keep the first sentence."""
    for verb in group.registered_commands:
        assert verb.callback is not None
        text = inspect.cleandoc(verb.callback.__doc__ or "")
        verb.short_help = " ".join(text.split("\n\n")[0].split())
        name = verb.name or verb.callback.__name__.replace("_", "-")
        verb.help = f"efficiency-bench {EXAMPLES[prefix + name]}\n\n{text}"
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        _begin_with_examples(inner.typer_instance, f"{inner.name} ")


_begin_with_examples(app)


class _VisibleFormatter(logging.Formatter):
    """Escapes control characters in messages."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def main() -> None:
    """Run a verb; a user's mistake prints a few lines and exits with code 2."""
    handler = logging.StreamHandler()
    handler.setFormatter(_VisibleFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        app()
    except UserError as error:
        process = this_process()
        if process.is_main:
            print_line(f"efficiency-bench: {error}", error=True)
        elif joined():  # before that, every rank finds the mistake, and rank 0 prints it
            print_line(f"efficiency-bench, {process}: {error}", error=True)
        sys.exit(USER_MISTAKE)
    except BrokenPipeError:  # a reader such as `head` closed the pipe, which is not an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


__all__ = ["app", "main"]
