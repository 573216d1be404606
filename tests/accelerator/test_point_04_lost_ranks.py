"""If a rank dies, the others exit with 75, even if their collective does not notice."""

import subprocess
import time
from pathlib import Path

import pytest

from efficiency_bench.errors import STOPPED
from tests.accelerator import in_vain
from tests.commands import PATIENCE_SECONDS, WARM
from tests.distributed.starting import _with_environment, rank_environments

SCRIPT = Path(__file__).parents[2] / "launch" / "train.sbatch"


def started(processes, function, folder):
    ranks = [
        WARM.Process(target=_with_environment, args=(variables, function, folder), daemon=True)
        for variables in rank_environments(processes)
    ]
    for rank in ranks:
        rank.start()
    return ranks


def await_files(folder, *names):
    until = time.monotonic() + PATIENCE_SECONDS
    while not all((folder / name).exists() for name in names):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_point_04_ranks_blocked_in_a_collective_exit_with_75(tmp_path):
    ranks = started(3, in_vain.wait_in_vain, tmp_path)
    await_files(tmp_path, "ready-0", "ready-1", "ready-2")
    ranks[2].kill()
    for rank in ranks[:2]:
        rank.join(PATIENCE_SECONDS)
        assert rank.exitcode == STOPPED


def test_point_04_a_failed_rank_ends_the_rank_that_waits_for_it(tmp_path):
    waits, faulty = started(2, in_vain.give_up, tmp_path)
    await_files(tmp_path, "ready-0", "given-up")
    waits.join(PATIENCE_SECONDS)
    assert waits.exitcode == STOPPED
    faulty.kill()


def test_point_04_a_rank_that_exits_as_agreed_does_not_end_the_others(tmp_path):
    ranks = started(2, in_vain.leave_early, tmp_path)
    for rank in ranks:
        rank.join(PATIENCE_SECONDS)
        assert rank.exitcode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"left-0", "left-1"}


@pytest.mark.parametrize(
    ("code", "saves", "requeued"),
    [
        (75, False, True),
        (0, True, False),
        (2, True, False),
        (1, True, False),
        (134, True, True),  # torch's watchdog aborts the process
        (137, True, True),  # a rank was killed: srun gives the highest code of all
        (137, False, False),  # without progress the job would be requeued forever
    ],
)
@pytest.mark.parametrize("place", ["runs/some-run", "elsewhere"])
def test_point_04_the_batch_script_requeues_while_checkpoints_are_written(
    code, saves, requeued, place, tmp_path
):
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "runs" / "old" / "checkpoint-000000007.pt").touch()
    (tmp_path / place).mkdir(parents=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    save = f"touch {place}/checkpoint-000000020.pt\n" if saves else ""
    bodies = {"srun": f"sleep 0.01\n{save}exit {code}", "scontrol": 'echo "$@" > requeued'}
    for name, body in bodies.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    ended = subprocess.run(
        ["bash", SCRIPT, "experiment=alexnet", *([f"run_dir={place}"] * (place == "elsewhere"))],
        cwd=tmp_path,
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "SLURM_JOB_ID": "7",
            "SLURM_CPUS_PER_TASK": "1",
            "TMPDIR": str(tmp_path),
        },
        check=False,
    )
    assert ended.returncode == code
    assert (tmp_path / "requeued").exists() == requeued
