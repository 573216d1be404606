"""The sacct replacement: submitit's own parser reads its output, on a real Slurm."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from efficiency_bench.sweep.sacct import lines
from tests.cluster.sweeps import until


def test_a_partly_finished_array_is_read_task_by_task():
    # as printed by scontrol 22.05.8, shortened
    pending = "JobId=5 ArrayJobId=5 ArrayTaskId=2-9%2 JobName=s JobState=PENDING Reason=None"
    passing = "JobId=7 ArrayJobId=5 ArrayTaskId=1 JobState=COMPLETING NodeList=n1 ExitCode=0:0"
    dead = "JobId=6 ArrayJobId=5 ArrayTaskId=0 JobName=a=b JobState=FAILED NodeList=n1"
    single = "JobId=8 JobName=s JobState=SUSPENDED NodeList=n2"
    assert lines([pending, passing, dead, single, "", "no job"]) == [
        "5_[2-9%2]|PENDING|",
        "5_1|RUNNING|n1",
        "5_0|FAILED|n1",
        "8|RUNNING|n2",
    ]


@pytest.fixture
def read(cluster):
    """What submitit reads about a job from the sacct replacement."""
    from submitit.slurm.slurm import SlurmInfoWatcher

    def answers(job):
        command = [sys.executable, "-m", "efficiency_bench.sweep.sacct", "-o", "JobID,State"]
        asked = subprocess.run(
            [*command, "--parsable2", "-j", job],
            env=cluster.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return SlurmInfoWatcher().read_info(asked.stdout)

    return answers


def test_states_of_waiting_running_failed_and_forgotten_jobs(cluster, read):
    sbatch = ("sbatch", "--parsable", "--output=/dev/null", "--array=0-2%2")
    job = cluster.typed(*sbatch, "--wrap", '[ "$SLURM_ARRAY_TASK_ID" = 0 ] || sleep 60').stdout
    job = job.strip()
    until(lambda: read(job)[f"{job}_0"]["State"] == "COMPLETED")
    until(lambda: read(job)[f"{job}_1"]["State"] == "RUNNING")
    assert read(job)[f"{job}_2"]["State"] in ("PENDING", "RUNNING")
    cluster.typed("scancel", job)
    until(lambda: read(job)[f"{job}_2"]["State"] == "CANCELLED")
    # a job that ended longer ago than the controller remembers
    assert read("999999")["999999_3"]["State"] == read("999999")["999999"]["State"] == "COMPLETED"


def test_a_controller_that_does_not_respond_is_not_the_end_of_a_job(cluster):
    working = Path(cluster.environment["SLURM_CONF"]).read_text()
    nobody = re.sub(r"SlurmctldPort=\d+", "SlurmctldPort=1\nMessageTimeout=1", working)
    (cluster.folder / "slurm.conf").write_text(nobody)
    asked = subprocess.run(
        [sys.executable, "-m", "efficiency_bench.sweep.sacct", "-j", "1"],
        env={**cluster.environment, "SLURM_CONF": str(cluster.folder / "slurm.conf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 1
    assert "COMPLETED" not in asked.stdout
    assert "contact" in asked.stderr
