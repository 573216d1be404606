"""Ranks from torchrun and Slurm, synchronized batch norm, and random numbers per rank."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from efficiency_bench.data.loader import Shard
from efficiency_bench.errors import UserError
from efficiency_bench.run.processes import Process, this_process
from efficiency_bench.training.ranks import Ranks, synchronise_batch_norm
from efficiency_bench.training.trainer import TrainingRun

STEP = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "2",
}


def test_torchruns_variables_are_read():
    found = this_process(
        {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    )
    assert found == Process(5, 8, 1, "env://", one_machine=False)


def test_the_ranks_of_a_slurm_step_derive_the_same_address():
    found = this_process(STEP)
    assert (found.rank, found.world_size, found.local_rank) == (2, 4, 2)
    assert found.meeting_point.startswith("tcp://127.0.0.1:")
    other = this_process(STEP | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"})
    assert other.meeting_point == found.meeting_point
    again = this_process(STEP | {"SLURM_RESTART_COUNT": "1"})
    assert again.meeting_point != found.meeting_point


@pytest.mark.parametrize(
    "environment",
    [
        {},
        # a batch script that starts the command without srun, in a job of four tasks
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
        STEP | {"SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_without_torchrun_or_slurm_the_world_size_is_1(environment):
    assert this_process(environment) == Process()


def test_a_norm_layer_that_holds_more_than_a_norm_is_rejected():
    class NormAndActivation(nn.BatchNorm2d):
        pass

    model = nn.Sequential(nn.Conv2d(3, 4, 3), NormAndActivation(4))
    with pytest.raises(UserError, match=r"1 is a NormAndActivation.*with a single process"):
        synchronise_batch_norm(model, torch.device("cpu"))


def test_sync_batch_norm_keeps_parameter_names_and_the_same_tensors():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0.1, momentum=0.3))
    before = dict(model.state_dict(keep_vars=True))
    after = synchronise_batch_norm(model, torch.device("cpu"))
    assert {k: id(v) for k, v in after.state_dict(keep_vars=True).items()} == {
        k: id(v) for k, v in before.items()
    }
    assert (after[1].eps, after[1].momentum) == (0.1, 0.3)


def test_each_rank_draws_its_own_dropout_which_a_resumed_run_repeats():
    def draw(rank: int, steps: int) -> float:
        torch.manual_seed(1)
        job = SimpleNamespace(seed=3, ranks=Ranks(Shard(rank, 3)))
        TrainingRun.reseed_rank(SimpleNamespace(job=job, steps=steps))
        return float(torch.rand(()))

    assert draw(0, 20) == draw(0, 40)  # rank 0 draws the same numbers as a run of one process
    assert len({draw(0, 20), draw(1, 20), draw(2, 20), draw(1, 40)}) == 4
    assert draw(1, 20) == draw(1, 20)
