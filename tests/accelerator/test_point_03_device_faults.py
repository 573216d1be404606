"""A device fault interrupts a run, which resumes; it is never recorded as the run's result."""

import json

import pytest
import torch

from efficiency_bench.errors import UserError
from efficiency_bench.run.run import run
from efficiency_bench.sweep import train as sweeps
from efficiency_bench.training.step import Step
from tests.accelerator.job import DIGITS
from tests.tiny import composed, events_of

pytestmark = pytest.mark.usefixtures("card")

STEPS_PER_EPOCH = 10


def config(folder):
    return composed(
        *DIGITS,
        *("experiment=alexnet", "recipe.epochs=3", "target.value=0.99", "tracking.wandb=false"),
        *(f"run_dir={folder / 'run'}", f"ledger_dir={folder / 'ledger'}"),
    )


def raising(monkeypatch, error, at_step):
    """Have ``error`` raised once, in place of a step."""
    step, calls = Step.__call__, iter(range(at_step))

    def call(self, *arguments, **keywords):
        if next(calls, None) is None:
            monkeypatch.setattr(Step, "__call__", step)
            raise error
        return step(self, *arguments, **keywords)

    monkeypatch.setattr(Step, "__call__", call)


PASSING = [
    torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors"),
    torch.AcceleratorError("CUDA error: unspecified launch failure"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: str(error).splitlines()[0])
def test_point_03_a_device_fault_is_an_interruption_that_resumes(error, tmp_path, monkeypatch):
    raising(monkeypatch, error, at_step=STEPS_PER_EPOCH + 5)
    outcome = run(config(tmp_path))
    assert (outcome.exit_code, outcome.entry) == (75, None)
    last = events_of(tmp_path / "run")[-1]
    assert last["event"] == "interrupted"
    assert str(error).splitlines()[0] in last["detail"]
    assert not list((tmp_path / "ledger").glob("*.json"))
    again = run(config(tmp_path))
    assert again.exit_code == 0
    assert again.entry.images == 3 * 300


def test_point_03_out_of_memory_in_the_first_step_names_the_batch_size(tmp_path, monkeypatch):
    raising(monkeypatch, PASSING[-1], at_step=0)
    with pytest.raises(UserError, match=r"(?s)recipe.batch_size=32.*2.00 GiB.*type a smaller"):
        run(config(tmp_path))
    assert not list((tmp_path / "ledger").glob("*.json"))
    assert run(config(tmp_path)).exit_code == 0


def test_point_03_out_of_memory_later_names_the_batch_size_and_resumes(tmp_path, monkeypatch):
    raising(monkeypatch, PASSING[-1], at_step=STEPS_PER_EPOCH + 5)
    run(config(tmp_path))
    assert "recipe.batch_size=32" in events_of(tmp_path / "run")[-1]["detail"]


def test_point_03_a_card_without_kernels_in_this_torch_is_a_user_error(tmp_path, monkeypatch):
    error = torch.AcceleratorError("CUDA error: no kernel image is available for execution")
    raising(monkeypatch, error, at_step=0)
    with pytest.raises(UserError, match="cannot use this device"):
        run(config(tmp_path))


def test_point_03_a_fault_of_the_run_itself_is_still_final(tmp_path, monkeypatch):
    error = torch.AcceleratorError("CUDA error: device-side assert triggered")
    raising(monkeypatch, error, at_step=0)
    assert run(config(tmp_path)).entry.end_reason == "failed"


def test_point_03_a_sweep_stops_at_a_device_that_failed(tmp_path, monkeypatch):
    """The process can do nothing more with the device: the other runs would fail in it."""
    started = []

    def train_run(sweep, number, here, stop, state):
        started.append(number)
        return 75, None

    class Sweep:
        name, numbers, runs = "two", (0, 1), ("first", "second")

    class Here:
        class console:  # noqa: N801
            print = staticmethod(lambda *a, **k: None)

    monkeypatch.setattr(sweeps, "train_run", train_run)
    entries, code = sweeps.train_here(Sweep, Here, sweeps.this_process(), leaving=False)
    assert (started, code) == ([0], 75)
    assert json.dumps(entries) == "[]"
