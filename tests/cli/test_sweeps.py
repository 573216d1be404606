"""Sweeps and their status, as a user types them, without Slurm."""

import json
import os
import signal
import subprocess
import sys

import pytest

from efficiency_bench.ledger import store
from efficiency_bench.run.folder import locked
from efficiency_bench.run.run import run
from efficiency_bench.sweep.manifest import SWEEPS
from tests.cli.users import SHORT, refused
from tests.cluster.sweeps import Cluster, plain_environment, until
from tests.tiny import TINY, tiny

RUN = ("experiment=alexnet", *TINY, *SHORT)


def test_status_without_a_sweep_says_how_to_start_one(typed):
    refused(typed("status"), "train -m suite=")


def test_status_lists_every_run_and_the_same_command_continues_the_sweep(typed):
    swept = ("train", "-m", *RUN, "ledger_dir=ledger,/proc/nothing", "run_dir=in-${ledger_dir}")
    first = typed(*swept, "--json")
    assert first.returncode == 2
    assert len([json.loads(first.stdout)]) == 1
    status = typed("status")
    assert status.returncode == 0
    assert "1 ended, 1 failed" in status.stdout
    assert "/proc/nothing" in status.stdout
    assert max(map(len, status.stdout.splitlines())) <= 80
    assert "\x1b" not in status.stdout
    assert typed("status", "--watch").stdout == status.stdout
    refused(typed("status", "--watch", "--json"), "--watch", "status --json")
    again = typed(*swept)
    assert again.returncode == 2
    assert "finished before" in again.stderr
    name = json.loads(typed("status", "--json").stdout)["sweep"]
    assert json.loads(typed("status", name[:9], "--json").stdout)["states"]["ended"] == 1
    with locked(SWEEPS / name):
        refused(typed(*swept), f"status {name}")


def test_an_invalid_run_keeps_the_whole_sweep_from_starting(typed, tmp_path):
    refused(typed("train", "-m", *RUN, "recipe.batch_size=16,0"), "run 2/2", "batch_size")
    assert not list(tmp_path.iterdir())


def test_a_flag_after_the_overrides_is_accepted(typed):
    refused(typed("train", *RUN, "recipe.epochs=1,0", "-m"), "run 2/2", "epochs")


def test_an_unknown_or_misconfigured_launcher_gives_one_message(typed):
    refused(typed("train", *RUN, "hydra/launcher=slurm"), "add -m")
    refused(typed("train", "-m", *RUN, "hydra/launcher=slrum"), "slurm_local")
    slurm = ("train", "-m", *RUN, "hydra/launcher=slurm")
    refused(typed(*slurm, "hydra.launcher.partiton=x"), "partiton", "--package hydra.launcher")
    refused(typed(*slurm, "hydra.launcher.timeout_min=long"), "timeout_min", "long")
    refused(typed(*slurm, "--cfg", "hydra"), "-m")


def test_without_slurm_the_message_names_the_alternative(typed, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    refused(typed("train", "-m", *RUN, "hydra/launcher=slurm"), "login node", "slurm_local")


def test_without_the_extra_the_message_says_what_to_install(tmp_path):
    # as Hydra sees it where the plug-in was never installed: its package of plug-ins is empty
    without = (
        "import hydra_plugins, sys; hydra_plugins.__path__ = []; from efficiency_bench.cli import"
        " main; sys.argv = ['', 'train', '-m', 'experiment=alexnet', 'hydra/launcher=slurm'];"
        " main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", without], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    refused(result, "efficiency-bench[cluster]")


@pytest.mark.parametrize("launcher", ["slurm_local", "cores"])
def test_the_local_launchers_give_the_same_results_as_this_process(tmp_path, launcher):
    swept = ("experiment=alexnet", "recipe.epochs=0.3", "target.value=1.0")
    with Cluster(tmp_path, plain_environment()) as user:
        sweep = user.start(*swept, "seed=0,1", f"hydra/launcher={launcher}")
        output = user.ended(sweep)
        assert sweep.returncode == 0, output
        assert "submitting 2 of 2 runs" in output
        assert user.status()["states"]["ended"] == 2
    for seed in (0, 1):
        here = run(
            tiny(tmp_path / "here", *swept, f"seed={seed}", f"run_dir={tmp_path / 'in'}{seed}")
        )
        there = store.find(tmp_path / "runs" / "ledger", here.entry.run_id)
        assert there.weights_digest == here.entry.weights_digest


def test_one_ctrl_c_stops_the_runs_side_by_side_and_starts_no_other(tmp_path):
    def folders():
        return [log.parent for log in tmp_path.glob("runs/*/events.jsonl")]

    with Cluster(tmp_path, plain_environment()) as user:
        swept = ("experiment=alexnet", "recipe.epochs=200", "target.value=1.0", "seed=0,1,2,3")
        sweep = user.start(*swept, "hydra/launcher=cores", "hydra.launcher.n_jobs=2")
        until(lambda: sum(map(user.evaluated, folders())) == 2)
        os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
        output = user.ended(sweep)
        assert sweep.returncode == 75, output
        assert "the same command again" in output
        states = user.status()["states"]
        assert (states["preempted"], states["waiting"]) == (2, 2)
