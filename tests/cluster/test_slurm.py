"""Sweeps on a real Slurm: requeued, at their time limit, preempted, failed, and restarted."""

import json
import signal

from tests.cluster.sweeps import RUN, SLURM, until

PLACES = ("run_dir=in-${ledger_dir}",)
"""The same run several times, each in its own ledger."""


def digest(cluster, ledger):
    (entry,) = (cluster.folder / ledger).glob("*.json")
    return json.loads(entry.read_text())["weights_digest"]


def test_a_sweep_disturbed_in_three_ways_ends_with_the_same_weights(cluster, undisturbed):
    (cluster.folder / "broken").write_text("a file where a ledger is to be made")
    swept = "ledger_dir=calm,requeued,limited,broken"
    command = (*RUN, swept, *PLACES, *SLURM)
    sweep = cluster.start(*command)
    until(lambda: cluster.evaluated("in-requeued"))
    assert cluster.typed("scontrol", "requeue", cluster.job_of(2)).returncode == 0
    until(lambda: cluster.evaluated("in-limited"))
    # the signal that Slurm sends near the time limit
    assert cluster.typed("scancel", "--signal=USR2", cluster.job_of(3)).returncode == 0
    until(lambda: "interrupted" in cluster.kinds("in-limited"))

    output = cluster.ended(sweep)
    assert sweep.returncode == 2, output  # because of the mistake in the broken run
    assert output.count("sacct does not work here") == 1
    assert "broken" in output
    assert "same command" in output
    assert cluster.kinds("in-calm") == ["start", "end"]
    for stopped in ("in-requeued", "in-limited"):
        assert cluster.kinds(stopped) == ["start", "interrupted", "resume", "end"]
    assert {digest(cluster, name) for name in ("calm", "requeued", "limited")} == {undisturbed}

    status = cluster.status()
    assert [run["state"] for run in status["runs"]] == ["ended", "ended", "ended", "failed"]
    assert "broken" in status["runs"][3]["detail"]
    compute = [run["paper3x_tfs_days"] for run in status["runs"]]
    assert compute[0] == compute[1] == compute[2] > compute[3] == 0
    assert status["paper3x_tfs_days"] == sum(compute)

    (cluster.folder / "broken").unlink()
    again = cluster.start(*command)
    output = cluster.ended(again)
    assert again.returncode == 0, output
    assert "submitting 1 of 4 runs" in output
    assert digest(cluster, "broken") == undisturbed
    assert cluster.kinds("in-calm") == ["start", "end"]
    assert cluster.status()["states"]["ended"] == 4


def test_a_preempted_job_saves_waits_to_be_killed_and_is_requeued(cluster, undisturbed):
    sweep = cluster.start(*RUN, "run_dir=run", *SLURM, "hydra.launcher.partition=spare")
    until(lambda: cluster.evaluated("run"))
    urgent = ("sbatch", "--partition=urgent", "--cpus-per-task=8", "--output=/dev/null")
    job = cluster.typed(*urgent, "--parsable", "--wrap", "sleep 600").stdout.strip()
    # it uses all cores, so that the preempted job cannot restart before it was checked
    until(lambda: cluster.status()["runs"][0]["state"] == "preempted")
    assert cluster.kinds("run") == ["start", "interrupted"]
    assert cluster.typed("scancel", job).returncode == 0
    output = cluster.ended(sweep)
    assert sweep.returncode == 0, output
    assert cluster.kinds("run") == ["start", "interrupted", "resume", "end"]
    assert digest(cluster, "runs/ledger") == undisturbed


def test_a_run_that_hits_its_real_time_limit_resumes_in_the_next_job(cluster):
    # Slurm checks the limits every 30 s and signals one check earlier: 25 to 55 s into the job
    limit = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5")
    longer = ("recipe.epochs=1000", "run_dir=run")
    cluster.start(*RUN, *longer, *SLURM, *limit)
    until(lambda: "resume" in cluster.kinds("run"))
    assert cluster.kinds("run")[:3] == ["start", "interrupted", "resume"]
    resumed = next(event for event in cluster.events("run") if event["event"] == "resume")
    stopped = next(event for event in cluster.events("run") if event["event"] == "interrupted")
    assert resumed["steps"] == stopped["steps"] > 0
    assert resumed["lost"]["images"] == 0


def test_while_jobs_are_queued_the_same_command_is_rejected_with_a_way_to_continue(cluster):
    command = (*RUN, "run_dir=run", *SLURM, "+hydra.launcher.additional_parameters.hold=true")
    first = cluster.start(*command)
    until(lambda: cluster.typed("squeue", "--noheader", "--states=PENDING").stdout)
    first.send_signal(signal.SIGINT)
    output = cluster.ended(first)
    assert first.returncode == 75
    assert "scancel --name=" in output
    assert cluster.status()["runs"][0]["state"] == "waiting"
    again = cluster.start(*command)
    assert "still in the queue" in cluster.ended(again)
    assert again.returncode == 2


def test_a_job_rejected_by_slurm_gives_one_message(cluster):
    refused = cluster.start(*RUN, *SLURM, "hydra.launcher.partition=nowhere")
    output = cluster.ended(refused)
    assert refused.returncode == 2
    assert "invalid partition" in output
    assert "hydra.launcher.KEY=VALUE" in output


def test_a_cancelled_job_does_not_block_the_command(cluster):
    sweep = cluster.start(*RUN, "run_dir=run", *SLURM)
    until(lambda: cluster.evaluated("run"))
    assert cluster.typed("scancel", cluster.job_of(1)).returncode == 0
    output = cluster.ended(sweep)
    assert sweep.returncode == 75, output
    assert "preempted" in output
    assert "same command" in output
