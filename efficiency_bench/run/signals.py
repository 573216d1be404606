"""Stopping a run between two steps on a signal, and giving the job back to who stopped it.

=================  ====================================================================
signal             once the run has stopped and is saved
=================  ====================================================================
INT (Ctrl-C)       the process leaves
USR1, USR2         the time limit is near: submitit's own handler requeues the job;
                   without submitit the process leaves
TERM               outside Slurm the process leaves.  In a Slurm job it waits to be
                   killed: a preempted job that leaves by itself has ended, and Slurm
                   requeues only what it had to end
=================  ====================================================================
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from efficiency_bench.run.processes import this_process

STOPPED = 75
"""EX_TEMPFAIL of sysexits.h: the same command continues."""

TIME_LIMIT_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *TIME_LIMIT_SIGNALS)
"""From a person, the system, and a scheduler whose time limit comes near."""

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
        """Note a signal; the second Ctrl-C ends the process at once."""
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.received and this_process().is_main:
            print("stopping after this step; the same command goes on from there", file=sys.stderr)
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
            print("saved; waiting for Slurm to end this job and requeue it", file=sys.stderr)
            while not self.time_limit_near:  # then there was no kill, but the job's time is over
                time.sleep(1)
        requeue = self.before.get(signal.SIGUSR2)
        if self.time_limit_near and "SUBMITIT_EXECUTOR" in os.environ and callable(requeue):
            requeue(signal.SIGUSR2, None)  # leaves by SystemExit on the first rank only
            time.sleep(REQUEUED_WITHIN_SECONDS)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Note the stop signals instead of dying of them; the handlers before are put back."""
    stop = Stop()
    stop.before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, previous in stop.before.items():
            signal.signal(number, previous)
