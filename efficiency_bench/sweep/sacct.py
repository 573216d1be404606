"""Stands in for Slurm's sacct where a cluster keeps no accounts: the answers are scontrol's.

submitit asks ``sacct -o JobID,State,NodeList --parsable2 -j ID [-j ID ...]`` and, without an
answer, takes a job that died for one that is still running.
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
"""States of a job that will not go on.  scontrol also shows passing ones (COMPLETING, SIGNALING),
which submitit would take for an end: all others but PENDING are answered as RUNNING."""

FORGOTTEN = "Invalid job id"
"""What scontrol says of a job that ended more than MinJobAge seconds ago."""

MOST_TASKS = 10_000
"""Indices for which a forgotten array is answered; Slurm's own limit is 1,001, sites raise it."""


def main() -> int:
    """Answer for the jobs on the command line; 1 where the controller cannot be asked."""
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
        # tasks leave scontrol's memory one by one: what it does not name has ended
        gone = (f"{job}|COMPLETED|", f"{job}_[0-{MOST_TASKS}]|COMPLETED|")
        print("\n".join([*gone, *lines(asked.stdout.splitlines())]))
    return 0


def lines(jobs: Sequence[str]) -> list[str]:
    """sacct's lines for ``scontrol --oneliner show job``'s."""
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
