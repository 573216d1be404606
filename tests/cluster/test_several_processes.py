"""One run with several ranks in a Slurm job: ranks set by Slurm, one entry, requeued as one."""

import json

from tests.cluster.sweeps import QUIET, RUN, SLURM, until
from tests.tiny import TINY

TWO = ("hydra.launcher.tasks_per_node=2",)


def entry_of(cluster, ledger):
    (entry,) = (cluster.folder / ledger).glob("*.json")
    return json.loads(entry.read_text())


def test_srun_starts_the_ranks_of_one_run(cluster):
    started = cluster.typed(
        *("srun", "--ntasks=2", "efficiency-bench", "train"),
        *("experiment=alexnet", "recipe.epochs=2", "target.value=1.0"),
        *(*TINY, *QUIET, "run_dir=run", "ledger_dir=ledger"),
    )
    assert started.returncode == 0, started.stderr
    entry = entry_of(cluster, "ledger")
    assert entry["provenance"]["hardware"]["processes"] == 2
    assert entry["images"] == 2 * 300
    assert cluster.kinds("run") == ["start", "end"]
    assert started.stderr.count("alexnet seed 0 on digits") == 1


def test_a_job_of_two_processes_is_requeued_at_its_time_limit_and_ends_the_same(cluster):
    sweep = cluster.start(*RUN, "ledger_dir=calm,limited", "run_dir=in-${ledger_dir}", *SLURM, *TWO)
    until(lambda: cluster.evaluated("in-limited"))
    assert cluster.typed("scancel", "--signal=USR2", cluster.job_of(2)).returncode == 0
    output = cluster.ended(sweep)
    assert sweep.returncode == 0, output
    assert cluster.kinds("in-calm") == ["start", "end"]
    assert cluster.kinds("in-limited") == ["start", "interrupted", "resume", "end"]
    calm, limited = entry_of(cluster, "calm"), entry_of(cluster, "limited")
    assert calm["weights_digest"] == limited["weights_digest"]
    assert calm["provenance"]["hardware"]["processes"] == 2
