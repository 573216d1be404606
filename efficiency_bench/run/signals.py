"""Stopping a run between two steps on a signal, and giving the job back to who stopped it.

=================  ====================================================================
signal             once the run has stopped and is saved
=================  ====================================================================
INT (Ctrl-C)       the process leaves.  A second one is noted; a third one leaves at
                   once, without saving
HUP                the terminal or the connection has gone: the process leaves.  Under
                   nohup the signal stays ignored
USR1, USR2         the time limit is near: submitit's own handler requeues the job;
                   without submitit the process leaves
TERM               outside Slurm the process leaves.  In a Slurm job it waits to be
                   killed: a preempted job that leaves by itself has ended, and Slurm
                   requeues only what it had to end
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

STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: the same command continues."""

TIME_LIMIT_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *TIME_LIMIT_SIGNALS)
"""From a person, the system, a terminal that has gone, a scheduler whose time limit comes near."""

REQUEUED_WITHIN_SECONDS = 60
"""How long a rank other than the first waits for its job to be requeued by the first one, the
time that submitit gives ``scontrol requeue``."""


class Stop:
    """The signals received so far; true once there is one."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.before: dict[int, Any] = {}
        """What handled each signal before this did: in a job of submitit, its own handlers."""

    def __bool__(self) -> bool:
        return bool(self.received)

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Note a signal; the third Ctrl-C raises KeyboardInterrupt."""
        if number == signal.SIGHUP:
            let_go_of_lost_terminal()
        interrupts = self.received.count(signal.SIGINT)
        if number == signal.SIGINT and interrupts == 2:
            raise KeyboardInterrupt
        if this_process().is_main:
            if not self.received:
                say("stopping after this step; the same command goes on from there")
            elif number == signal.SIGINT and interrupts == 1:
                say("still stopping; one more Ctrl-C leaves at once, without saving")
        self.received.append(number)

    @property
    def time_limit_near(self) -> bool:
        """Whether a scheduler has announced the end of the job's time."""
        return any(number in TIME_LIMIT_SIGNALS for number in self.received)

    def hand_over(self) -> None:
        """After the run has stopped and is saved: requeue the job, or wait to be killed.

        Returns where nothing is left but to leave with ``STOPPED``.
        """
        if not self.received or signal.SIGINT in self.received:
            return  # without a signal, a loading process had died
        if not self.time_limit_near and "SLURM_JOB_ID" in os.environ:
            say("saved; waiting for Slurm to end this job and requeue it")
            # the time limit: there was no kill, but the job's time is over
            while not self.time_limit_near and signal.SIGINT not in self.received:
                time.sleep(1)
        requeue = self.before.get(signal.SIGUSR2)
        if self.time_limit_near and "SUBMITIT_EXECUTOR" in os.environ and callable(requeue):
            requeue(signal.SIGUSR2, None)  # leaves by SystemExit on the first rank only
            time.sleep(REQUEUED_WITHIN_SECONDS)


@contextmanager
def stop_on_signal(leaving: bool = False) -> Iterator[Stop]:
    """Note the stop signals instead of dying of them; the handlers before are put back.

    ``leaving``: the process ends right afterwards.  Once it was stopped, further signals are then
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
    """Whether SIGHUP is for this process: nohup starts it with the signal ignored."""
    return signal.getsignal(signal.SIGHUP) != signal.SIG_IGN


def say(text: str) -> None:
    """Print to standard error, if anybody is there to read it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        let_go_of_lost_terminal()


def let_go_of_lost_terminal() -> None:
    """Point standard streams at the null device if they were a terminal that has gone.

    Every write to it would fail, and none of them is a reason to end a run.
    """
    for stream in (0, 1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, stream)
                os.close(null)
