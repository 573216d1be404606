"""Run the command line in a new process, forked from one that has already imported it.

Importing torch and the rest takes seconds of CPU time, and the suite starts some hundred
commands.  Everything else is as in a new process: pid, folder, environment, signals, streams
and exit code.  ``cold=True`` starts the installed program instead.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("efficiency-bench")
PATIENCE_SECONDS = 300.0

WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(
    [
        "efficiency_bench.cli",
        "efficiency_bench.hydra_app",
        "efficiency_bench.cli.train",
        "efficiency_bench.sweep.train",
        "efficiency_bench.run.run",
        "torch._dynamo",  # what torch's optimizers import at their first step
    ]
)


def warm_up() -> None:
    """Start the process that commands are forked from; it does not see later settings."""
    forkserver.ensure_running()


class Running:
    """A running command, with the part of subprocess.Popen that the tests need."""

    def __init__(self, *arguments: str, cwd: Path, **environment: str) -> None:
        """Its environment is this process's, one thread, and ``environment``."""
        self._stdout = tempfile.TemporaryFile("w+")  # noqa: SIM115
        read, write = WARM.Pipe(duplex=False)
        self.process = WARM.Process(
            target=_run,
            args=(
                [str(word) for word in arguments],
                str(cwd.absolute()),
                {**os.environ, "OMP_NUM_THREADS": "1", **environment},
                Connection(os.dup(self._stdout.fileno()), readable=False),
                write,
            ),
        )
        self.process.start()
        write.close()
        self.stderr = open(os.dup(read.fileno()), errors="replace")  # noqa: SIM115, PTH123
        read.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self.wait()
        self.stderr.close()
        self._stdout.close()

    @property
    def pid(self) -> int:
        """The process id; its parent is the process that it was forked from, not this one."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code; None while it runs, minus the signal number if a signal ended it."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """As os.kill."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self.process.kill()

    def wait(self) -> int:
        """Return the exit code; on timeout the command is killed and the test fails."""
        self.process.join(PATIENCE_SECONDS)
        if self.returncode is None:
            self.kill()
            raise TimeoutError(f"killed after {PATIENCE_SECONDS} s: {self.process}")
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """Wait for the end; return the rest of stdout and stderr."""
        late = threading.Timer(PATIENCE_SECONDS, self.kill)
        late.start()
        said = self.stderr.read()
        late.cancel()
        self.wait()
        with self._stdout, self.stderr:
            self._stdout.seek(0)
            return self._stdout.read(), said


def _run(
    arguments: list[str],
    cwd: str,
    environment: dict[str, str],
    stdout: Connection,
    stderr: Connection,
) -> None:
    """Run the command in the new process."""
    os.setsid()  # its own process group, so that signals to one do not reach the other
    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)
    stdout.close()
    stderr.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(PROGRAM), *arguments]
    from efficiency_bench.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends its processes without


def command(
    *arguments: str, cwd: Path, cold: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, in ``cwd``, to its end."""
    if cold:
        return subprocess.run(
            [PROGRAM, *arguments],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    with Running(*arguments, cwd=cwd, **environment) as running:
        stdout, stderr = running.communicate()
        return subprocess.CompletedProcess(arguments, running.wait(), stdout, stderr)


def started(folder: Path, *arguments: str) -> Running:
    """Start a run in its own process; return after its first evaluation."""
    running = Running("train", *arguments, cwd=folder)
    for line in running.stderr:
        if "epoch" in line and "left" in line:
            return running
    _, said = running.communicate()
    raise AssertionError(f"it never trained; exit code {running.wait()}: {said}")
