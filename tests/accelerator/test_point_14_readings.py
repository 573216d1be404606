"""The loss is read about once a second on a GPU: one wait, one all-reduce, one energy reading."""

from dataclasses import dataclass, field, replace

import pytest
import torch

from efficiency_bench.data.loader import Shard
from efficiency_bench.run.run import run
from efficiency_bench.training import trainer
from efficiency_bench.training.clock import Clock
from efficiency_bench.training.evaluation import Score
from efficiency_bench.training.ranks import Ranks
from efficiency_bench.training.trainer import Progress, train
from tests.accelerator.job import DIGITS, job_on
from tests.accelerator.test_point_01_autocast import Watched
from tests.tiny import composed, events_of

STEPS = 600
"""In one epoch: 1,200 digits in batches of two, evaluated at its end."""


@dataclass(frozen=True)
class Pretended(Ranks):
    """One of two ranks, without the other; counts its collectives."""

    asked: list = field(default_factory=list)

    def parallel(self, model):
        return model, model

    def all_reduce_sum(self, value):
        self.asked.append(value.numel())
        return 2 * value


def job(device="cuda", **changes):
    whole = job_on(
        "experiment=alexnet", "data.train_images=1200", "recipe.batch_size=2", "recipe.epochs=1",
        f"device={device}", "threads=null",
    )  # fmt: skip
    return replace(whole, model=Watched(), **changes)


@pytest.fixture
def clocked(monkeypatch):
    """Set the training clock: so many seconds a step."""
    current = {}
    begin = trainer.TrainingRun.__init__

    def remember(self, job):
        begin(self, job)
        current["run"] = self

    monkeypatch.setattr(trainer.TrainingRun, "__init__", remember)

    def at(seconds_per_step):
        steps = property(lambda clock: current["run"].steps * seconds_per_step)
        monkeypatch.setattr(Clock, "train_seconds", steps)

    return at


@pytest.mark.parametrize(
    ("seconds_per_step", "expected"),
    [
        # the first reading knows no time, the second that of the first twenty steps
        (0.00199, [20, 40, 540, 600]),  # 25 times 20 steps of 2 ms are a second
        (0.0099, [20, 40, 140, 240, 340, 440, 540, 600]),
        (0.2, list(range(20, 601, 20))),  # twenty steps take longer: at each of them
    ],
)
def test_point_14_a_reading_about_once_a_second(seconds_per_step, expected, card, clocked):
    clocked(seconds_per_step)
    assert [r.steps for r in train(job()) if isinstance(r, Progress)] == expected


def test_point_14_on_a_cpu_readings_are_unchanged(clocked):
    clocked(0.00199)
    seen = [r.steps for r in train(job("cpu")) if isinstance(r, Progress)]
    assert seen == list(range(20, 601, 20))


def test_point_14_one_all_reduce_per_reading(card, clocked, monkeypatch):
    clocked(0.00199)
    ranks = Pretended(Shard(0, 2), torch.device("cuda"))
    score = Score(top1=0.5, top5=0.5, loss=1.0, images=100)
    monkeypatch.setattr(trainer, "evaluate", lambda *arguments: score)
    readings = [r.steps for r in train(job(ranks=ranks)) if isinstance(r, Progress)]
    ending = [1]
    assert ranks.asked == [4] * len(readings) + ending


def test_point_14_ranks_reseed_at_the_same_steps_whenever_they_read(card, clocked, monkeypatch):
    """Dropout of rank 1 must not depend on how fast the machine is."""
    seeded = []
    reseed = trainer.TrainingRun.reseed_rank
    monkeypatch.setattr(
        trainer.TrainingRun, "reseed_rank", lambda self: (seeded.append(self.steps), reseed(self))
    )
    steps = []
    for seconds in (0.00199, 0.2):
        clocked(seconds)
        seeded.clear()
        for _ in train(job()):
            pass
        steps.append(list(seeded))
    assert steps[0] == steps[1] == list(range(0, STEPS, 20))


def test_point_14_energy_is_read_once_per_reading_while_the_clock_is_paused(
    card, tmp_path, monkeypatch
):
    running = []
    meter_read = "efficiency_bench.run.cost.NvmlMeter.joules"
    clocks = []
    began = Clock.__init__
    monkeypatch.setattr(
        Clock, "__init__", lambda self, *a, **k: (began(self, *a, **k), clocks.append(self))[0]
    )

    def joules(self):
        running.append([clock._since is not None for clock in clocks])
        return 0.0

    monkeypatch.setattr(meter_read, joules)
    config = composed(
        *DIGITS,
        *("experiment=alexnet", "recipe.epochs=3", "target.value=0.99", "tracking.wandb=false"),
        *("checkpoint_share=0", f"run_dir={tmp_path / 'run'}", f"ledger_dir={tmp_path / 'l'}"),
    )
    assert run(config).exit_code == 0
    kinds = [event["event"] for event in events_of(tmp_path / "run")]
    beginning, ending = 1, 1
    expected = beginning + kinds.count("progress") + kinds.count("evaluation") + ending
    assert len(running) == expected
    during = running[1:-1:2]  # those of progress; an evaluation has the clock paused no more
    assert not any(any(states) for states in during)
