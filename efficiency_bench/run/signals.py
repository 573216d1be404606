"""Stops a run between two steps on a signal, and lets the scheduler requeue its job.

=================  ====================================================================
signal             after the run has stopped and saved a checkpoint
=================  ====================================================================
INT (Ctrl-C)       the process exits.  A second one is noted; a third one exits at
                   once, without saving
HUP                the terminal or connection is gone: the process exits.  Under
                   nohup the signal stays ignored
USR1, USR2         the time limit is near: submitit's own handler requeues the job;
                   without submitit the process exits
TERM               outside Slurm the process exits.  In a Slurm job it waits to be
                   killed: Slurm requeues a preempted job only if it had to kill it,
                   not if the job exits by itself
=================  ====================================================================
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from efficiency_bench.run.processes import this_process

TIME_LIMIT_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *TIME_LIMIT_SIGNALS)
"""Sent by a person, the system, a terminal that closed, or a scheduler near its time limit."""

REQUEUED_WITHIN_SECONDS = 60
"""How long the other ranks wait for rank 0 to requeue the job: the time that submitit allows
``scontrol requeue``."""


class Stop:
    """The stop signals received so far; true if there is one."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.before: dict[int, Any] = {}
        """The previous handler of each signal; in a submitit job, submitit's own."""

    def __bool__(self) -> bool:
        return bool(self.received)

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Note a signal; the third Ctrl-C raises KeyboardInterrupt."""
        if number != signal.SIGINT:
            # once is enough: a flood would nest this handler until Python's stack is full
            signal.signal(number, signal.SIG_IGN)
        if number == signal.SIGHUP:
            let_go_of_lost_terminal()
        interrupts = self.received.count(signal.SIGINT)
        if number == signal.SIGINT and interrupts == 2:
            raise KeyboardInterrupt
        if this_process().is_main:
            if not self.received:
                say("stopping after this step; run the same command again to resume")
            elif number == signal.SIGINT and interrupts == 1:
                say("still stopping; one more Ctrl-C exits at once, without saving")
        self.received.append(number)

    @property
    def time_limit_near(self) -> bool:
        """Whether a scheduler has signalled that the job's time limit is near."""
        return any(number in TIME_LIMIT_SIGNALS for number in self.received)

    def hand_over(self) -> None:
        """After the checkpoint is saved: requeue the job, or wait to be killed.

        Returns if the process should exit with ``STOPPED``.
        """
        if not self.received or signal.SIGINT in self.received:
            return  # no signal: a loading process died
        if not self.time_limit_near and "SLURM_JOB_ID" in os.environ:
            say("saved; waiting for Slurm to end this job and requeue it")
            # ends at the time limit if no kill came before it
            while not self.time_limit_near and signal.SIGINT not in self.received:
                time.sleep(1)
        requeue = self.before.get(signal.SIGUSR2)
        if self.time_limit_near and "SUBMITIT_EXECUTOR" in os.environ and callable(requeue):
            requeue(signal.SIGUSR2, None)  # raises SystemExit on rank 0 only
            time.sleep(REQUEUED_WITHIN_SECONDS)


@contextmanager
def stop_on_signal(leaving: bool = False) -> Iterator[Stop]:
    """Record stop signals instead of dying from them; restores the previous handlers at the end.

    ``leaving``: the process exits right afterwards.  If it was stopped, further signals are
    ignored instead, so that none of them changes its exit code.
    """
    stop = Stop()
    numbers = [n for n in STOP_SIGNALS if n != signal.SIGHUP or _hangs_up()]
    stop.before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, previous in stop.before.items():
            signal.signal(number, signal.SIG_IGN if leaving and stop else previous)


def _hangs_up() -> bool:
    """Whether SIGHUP is handled: nohup starts the process with the signal ignored."""
    return signal.getsignal(signal.SIGHUP) != signal.SIG_IGN


def say(text: str) -> None:
    """Print to standard error; a terminal that is gone is not an error."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        let_go_of_lost_terminal()


def let_go_of_lost_terminal() -> None:
    """Redirect the standard streams to the null device if they were a terminal that is gone.

    Otherwise every write would fail, and that is no reason to end a run.
    """
    for stream in (0, 1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, stream)
                os.close(null)
