"""The first losses of two recipes, pinned: a change of numerics is a decision, not an accident.

Recorded with torch 2.14.1 on x86-64, one thread, channels_last.  Initial fp32 weights differ by
4e-8 between two processors, and ResNet-18 at its recipe's rate amplifies that to 4 % of the loss in
five steps.  So everything, initialisation included, runs in float64: a change of initialisation,
order, schedule or optimizer shows at once, a change of processor does not.  In fp32 the losses must
match too, with a wider tolerance: six of EfficientNet-B0, three of ResNet-18.
"""

import pytest
import torch

from efficiency_bench.data import build_data
from efficiency_bench.run.device import resolve
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.trainer import TrainingRun, batches
from tests.tiny import TINY, composed

RUNS = {
    "resnet18": [2.64970348, 2.59706648, 2.47523349, 3.01173662, 1.97538838, 2.14558306],
    "efficientnet_b0": [2.30288349, 2.28612066, 2.30011585, 2.33532162, 2.3032743, 2.3228595],
}
FP32 = {
    "resnet18": [2.3238, 2.5283, 2.3578],
    "efficientnet_b0": [2.2975, 2.2947, 2.2810, 2.3248, 2.3043, 2.3291],
}


def losses(experiment: str, steps: int) -> list[float]:
    """Training losses of the first steps, nats per image."""
    config = resolve(composed(f"experiment={experiment}", *TINY))
    data = build_data(config.data, config.recipe, config.seed, torch.device("cpu"))
    run = TrainingRun(build_job(config, data, None, lambda: False))
    found = []
    for images, labels, global_batch_size, _ in batches(run.job):
        images = images.to(torch.get_default_dtype())
        progress = (run.steps + 0.5) / run.job.total_steps
        loss = run.step(images, labels, global_batch_size, progress=progress)
        run.steps += 1
        found.append(loss.item())
        if len(found) == steps:
            return found
    raise AssertionError("the schedule has fewer steps")


@pytest.fixture
def in_float64(monkeypatch):
    """Weights, images and losses in double precision."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("experiment", RUNS)
@pytest.mark.usefixtures("in_float64")
def test_the_first_losses_match_the_recorded_ones(experiment):
    found = losses(experiment, steps=6)
    assert found == pytest.approx(RUNS[experiment], rel=1e-6), (
        f"to accept a change of numerics, record {[round(v, 8) for v in found]} and say why"
    )


@pytest.mark.parametrize("experiment", FP32)
def test_the_first_fp32_losses_match_the_recorded_ones(experiment):
    recorded = FP32[experiment]
    assert losses(experiment, steps=len(recorded)) == pytest.approx(recorded, rel=2e-3)
