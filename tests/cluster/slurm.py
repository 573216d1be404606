"""A complete Slurm on this machine: its daemons on loopback, its files in one private folder.

    python -m tests.cluster.slurm start FOLDER     prints what to export to use it
    python -m tests.cluster.slurm stop FOLDER

Needs slurmctld, slurmd, slurm-client and munge, no root and no service manager.  One node of eight
CPUs (jobs share the real ones) and two GPUs that are only files.  Three partitions: ``main``,
``spare``, and ``urgent``, whose jobs preempt those of ``spare`` with ten seconds' notice.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "srun", "sbatch")
PACKAGES = "slurmctld slurmd slurm-client munge"
DAEMONS = ("slurmd", "slurmctld", "munged")
"""In the order in which they are stopped."""

START_SECONDS = 60
SBIN = "/usr/sbin:/sbin"
"""Where Debian installs the daemons; a user's PATH lacks it."""

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits before it starts again: 120 s, at least 5
AuthInfo=socket={folder}/munge.sock,cred_expire=5
# nothing listens on other addresses than those of the names, which are loopback's
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# more CPUs than the machine has
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=1
KillWait=3
# no accounts, as on many small clusters: sacct does not work
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 Port={node_port} CPUs=8 RealMemory=16000 Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES PriorityTier=10 DefaultTime=10 State=UP
PartitionName=spare Nodes=ALL PriorityTier=1 GraceTime=10 DefaultTime=10 State=UP
PartitionName=urgent Nodes=ALL PriorityTier=100 PreemptMode=OFF DefaultTime=10 State=UP
"""


def why_not() -> str | None:
    """Why Slurm cannot be started here; None: it can."""
    missing = [program for program in PROGRAMS if _which(program) is None]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install {PACKAGES}"
    host = socket.gethostname()
    try:
        address = socket.gethostbyname(host)
    except OSError:
        address = "nothing"
    if not address.startswith("127."):  # Slurm listens on the address of the host name
        return f"the host name {host} stands for {address}, not for a loopback address"
    return None


def start(folder: Path) -> dict[str, str]:
    """Start a private cluster in ``folder``; returns the environment for its commands."""
    folder = folder.absolute()
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # munged refuses a socket in a folder that it thinks others cannot reach
    ports = _free_ports(2)
    settings = {"folder": folder, "user": getpass.getuser()}
    text = CONFIGURATION.format(controller_port=ports[0], node_port=ports[1], **settings)
    (folder / "slurm.conf").write_text(text)
    gpus = []
    for number in range(2):
        device = folder / f"gpu{number}"  # must be a device; jobs see its last digit
        device.symlink_to("/dev/null")
        gpus.append(f"Name=gpu File={device}\n")
    (folder / "gres.conf").write_text("".join(gpus))
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    environment = environment_of(folder)
    _start_munged(folder, environment)
    configuration = environment["SLURM_CONF"]
    _run(["slurmctld", "-f", configuration], environment)
    _run(["slurmd", "-f", configuration, "-N", "localhost"], environment)
    _wait_for_the_node(folder, environment)
    return environment


def environment_of(folder: Path) -> dict[str, str]:
    """The environment of commands that use the cluster in ``folder``."""
    return {
        "SLURM_CONF": str(folder.absolute() / "slurm.conf"),
        "PATH": f"{os.environ['PATH']}:{SBIN}",
    }


def stop(folder: Path) -> None:
    """End the jobs and the daemons of ``folder``, using the pid files there."""
    environment = {**os.environ, **environment_of(folder)}
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--me"], env=environment, timeout=10, check=False)
        until = time.monotonic() + 10
        while time.monotonic() < until and _jobs(environment):
            time.sleep(0.2)
    for daemon in DAEMONS:
        _end(folder / f"{daemon}.pid")


def _start_munged(folder: Path, environment: dict[str, str]) -> None:
    files = {
        "--key-file": "munge.key",
        "--socket": "munge.sock",
        "--pid-file": "munged.pid",
        "--log-file": "munged.log",
        "--seed-file": "munged.seed",
    }
    options = [f"{option}={folder / name}" for option, name in files.items()]
    _run(["munged", "--force", *options], environment)


def _wait_for_the_node(folder: Path, environment: dict[str, str]) -> None:
    until = time.monotonic() + START_SECONDS
    seen = ""
    while time.monotonic() < until:
        command = ["sinfo", "--noheader", "--partition=main", "--format=%T"]
        seen = _run(command, environment, check=False).strip()
        if seen == "idle":
            return
        time.sleep(0.1)
    stop(folder)
    raise RuntimeError(f"the node is {seen or 'not known'} after {START_SECONDS} s, see {folder}")


def _jobs(environment: dict[str, str]) -> str:
    return _run(["squeue", "--noheader"], environment, check=False)


def _run(command: list[str], environment: dict[str, str], check: bool = True) -> str:
    done = subprocess.run(
        [_which(command[0]) or command[0], *command[1:]],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr}")
    return done.stdout


def _end(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now; two clusters draw different ones."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:{SBIN}")


def main() -> None:
    """Run the command line described in the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("start", "stop"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if reason := why_not():
        sys.exit(reason)
    if arguments.verb == "stop":
        stop(arguments.folder)
    else:
        for name, value in start(arguments.folder).items():
            print(f"export {name}='{value}'")


if __name__ == "__main__":
    main()
