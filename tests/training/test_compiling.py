"""Compiling the step does not change the run's state and is charged to no clock."""

import functools
import time

import pytest
import torch
from torch import nn

from efficiency_bench.data import build_data
from efficiency_bench.run.device import resolve
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.checkpoint import weights_digest
from efficiency_bench.training.compile import Compiled, compile_step
from efficiency_bench.training.ranks import SINGLE_PROCESS
from efficiency_bench.training.step import Numerics, Step
from efficiency_bench.training.trainer import Progress, train
from tests.tiny import TINY, composed

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _without_code_generator(monkeypatch):
    # trace and differentiate, but skip code generation: compiling C++ takes minutes
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    yield
    torch._dynamo.reset()


def step() -> Step:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)
    recipe = composed("experiment=resnet18").recipe
    return Step(nn.Sequential(*layers).train(), recipe, Numerics(), 0.0, SINGLE_PROCESS)


def test_compiling_changes_no_weights_buffers_generators_or_losses():
    plain, compiled = step(), step()
    random, weights = torch.get_rng_state(), weights_digest(compiled.model)
    assert compile_step(compiled, [(4, 8), (3, 8)]).seconds > 0
    assert compiled.shared_model is not compiled.model
    assert torch.equal(torch.get_rng_state(), random)
    assert weights_digest(compiled.model) == weights == weights_digest(plain.model)
    assert all(p.grad is None for p in compiled.model.parameters())
    for images in (4, 3, 4):
        batch, labels = torch.randn(images, 3, 8, 8), torch.arange(images)
        expected = plain(batch, labels, images, 0.5)
        assert compiled(batch, labels, images, 0.5) == pytest.approx(float(expected), rel=1e-4)
    assert compiled.model[1].num_batches_tracked == 3


def test_compile_time_is_reported_and_charged_to_no_clock():
    config = resolve(composed("experiment=alexnet", "compile=true", *TINY))
    data = build_data(config.data, config.recipe, config.seed, CPU)
    records = train(build_job(config, data, None, lambda: False))
    assert isinstance(next(records), Compiled)
    began = time.perf_counter()
    progress = next(records)
    assert isinstance(progress, Progress)
    assert progress.train_seconds <= time.perf_counter() - began
