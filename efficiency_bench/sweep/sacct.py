"""Replaces Slurm's sacct on clusters without accounting, using scontrol.

submitit runs ``sacct -o JobID,State,NodeList --parsable2 -j ID [-j ID ...]``.  If that fails, it
assumes that a job that died is still running.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Sequence

ENDED = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"),
)
"""Final states of a job.  scontrol also shows transient ones (COMPLETING, SIGNALING), which
submitit would take for final: all others except PENDING are reported as RUNNING."""

FORGOTTEN = "Invalid job id"
"""scontrol's error for a job that ended more than MinJobAge seconds ago."""

MOST_TASKS = 10_000
"""Largest index reported for a forgotten array; Slurm's default limit is 1,001, sites raise it."""


def main() -> int:
    """Print the states of the jobs on the command line; 1 if the controller does not respond."""
    print("JobID|State|NodeList")
    asked_for = [job for flag, job in itertools.pairwise(sys.argv) if flag == "-j"]
    for job in asked_for:
        asked = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", job],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode != 0 and FORGOTTEN not in asked.stderr:
            print(asked.stderr.strip(), file=sys.stderr)
            return 1
        # scontrol forgets tasks one by one: those that it does not list have ended
        gone = (f"{job}|COMPLETED|", f"{job}_[0-{MOST_TASKS}]|COMPLETED|")
        print("\n".join([*gone, *lines(asked.stdout.splitlines())]))
    return 0


def lines(jobs: Sequence[str]) -> list[str]:
    """The output lines of ``scontrol --oneliner show job`` in sacct's format."""
    found = []
    for job in jobs:
        fields = dict(word.split("=", 1) for word in job.split() if "=" in word)
        if "JobState" not in fields:
            continue
        name = fields["JobId"]
        if "ArrayJobId" in fields:
            index = fields.get("ArrayTaskId", "0")
            index = index if index.isdigit() else f"[{index}]"
            name = f"{fields['ArrayJobId']}_{index}"
        state = fields["JobState"]
        shown = state if state in ENDED or state == "PENDING" else "RUNNING"
        found.append(f"{name}|{shown}|{fields.get('NodeList', '')}")
    return found


if __name__ == "__main__":
    sys.exit(main())
