"""The command line: `efficiency-bench VERB`.

Each verb imports what it needs when it runs, so that `--help`, `fit` and `ledger` start without
torch.  Exit codes: 0 done, 1 ended by a fault, 2 the user's mistake, 75 stopped by a signal.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from efficiency_bench.cli import data, fit, ledger, plan, report, runs, track, verify
from efficiency_bench.cli.shared import USER_MISTAKE, print_line
from efficiency_bench.errors import UserError
from efficiency_bench.formatting import visible
from efficiency_bench.run.processes import joined, this_process

app = typer.Typer(
    help="Measure how fast the compute to train a network to a fixed accuracy falls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
HYDRAS_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command(context_settings=HYDRAS_ARGUMENTS, epilog=runs.TRAIN_EXAMPLES)(runs.train)
app.command(context_settings=HYDRAS_ARGUMENTS, epilog=plan.EXAMPLES)(plan.plan)
app.command()(runs.status)
app.command()(runs.models)
app.command()(verify.audit)
app.command()(fit.fit)
app.command()(fit.conventions)
app.command()(fit.decompose)
app.command()(report.report)
app.command()(verify.verify)
app.command()(verify.reproduce)
app.command(context_settings=HYDRAS_ARGUMENTS)(verify.verify_resume)
app.add_typer(data.app, name="data", no_args_is_help=True)
app.add_typer(ledger.app, name="ledger", no_args_is_help=True)
app.add_typer(track.app, name="track", no_args_is_help=True)


class _VisibleFormatter(logging.Formatter):
    """Escapes control characters in messages."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def main() -> None:
    """Run a verb; a user's mistake prints one to three lines and exits with code 2."""
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
