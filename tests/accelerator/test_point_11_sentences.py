"""More processes than GPUs, and a file system without locks: a message that says what to do."""

import errno
import fcntl
import os

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.run import processes
from efficiency_bench.run.folder import in_use, locked
from efficiency_bench.run.processes import Process, card_of, check_cards
from tests.distributed.starting import rank_environments

TORCHRUN = "env://"
SLURM = "tcp://127.0.0.1:20000"


@pytest.mark.parametrize(
    ("local_rank", "visible", "place", "card"),
    [(0, 4, TORCHRUN, 0), (3, 4, TORCHRUN, 3), (3, 4, SLURM, 3), (3, 1, SLURM, 0)],
)
def test_point_11_each_process_has_its_own_gpu(local_rank, visible, place, card):
    assert card_of(Process(local_rank, 4, local_rank, place), visible) == card


@pytest.mark.parametrize(("visible", "place"), [(4, TORCHRUN), (1, TORCHRUN), (4, SLURM)])
def test_point_11_with_more_processes_than_gpus_the_message_says_what_to_type(visible, place):
    with pytest.raises(UserError, match=rf"torch finds {visible}; .*--nproc-per-node={visible}"):
        card_of(Process(5, 8, 5, place), visible)


def test_point_11_the_command_reports_it_before_nccl_does(card, monkeypatch):
    card.cards = 4
    for name, value in rank_environments(8)[5].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="process 5 of this machine has no GPU"):
        processes.join(processes.this_process(), "cuda")
    assert card.backends == []


def test_point_11_two_ranks_on_one_gpu_are_named():
    check_cards([b"a", b"b", b"c"])
    with pytest.raises(UserError, match="processes 1 and 3 have the same GPU"):
        check_cards([b"a", b"b", b"c", b"b"])


@pytest.fixture(params=["ENOSYS", "EOPNOTSUPP", "ENOLCK"])
def _without_locks(request, monkeypatch):
    number = getattr(errno, request.param)

    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("_without_locks")
def test_point_11_a_file_system_without_locks_is_named_with_the_way_out(tmp_path):
    with pytest.raises(UserError, match=r"(?s)file system of .*no locks.*-o flock.*run_dir="):
        locked(tmp_path / "run").__enter__()


@pytest.mark.usefixtures("_without_locks")
def test_point_11_status_does_not_die_without_locks(tmp_path):
    (tmp_path / "lock").touch()
    assert in_use(tmp_path) is False
