"""The first losses of two recipes, pinned: a change of numerics is a decision, not an accident.

Recorded with torch 2.14.1 on x86-64, fp32, one thread, channels_last.  Other processors round
differently, hence the tolerance; a changed initialisation, order, schedule or optimizer moves a
loss by far more.
"""

import pytest
import torch

from efficiency_bench.campaign.device import resolve
from efficiency_bench.campaign.job import build_job
from efficiency_bench.data import build_data
from efficiency_bench.training.trainer import Run, batches
from tests.campaign.tiny import TINY, composed

RUNS = {
    "resnet18": [2.0814, 2.4307, 2.2568, 2.2369, 2.1932, 2.1581],
    "efficientnet_b0": [2.3111, 2.3178, 2.3118, 2.3094, 2.3109, 2.3052],
}
STEPS = 6


def losses(experiment: str) -> list[float]:
    """Training losses of the first steps, nats an image."""
    config = resolve(composed(f"experiment={experiment}", *TINY))
    data = build_data(config.data, config.recipe, config.seed, torch.device("cpu"))
    run = Run(build_job(config, data, None, lambda: False))
    found = []
    for images, labels, whole, _ in batches(run.job):
        progress = (run.steps + 0.5) / run.job.total_steps
        loss = run.step(images, labels, whole, progress=progress)
        run.steps += 1
        found.append(loss.item())
        if len(found) == STEPS:
            return found
    raise AssertionError("the schedule has fewer steps")


@pytest.mark.parametrize("experiment", RUNS)
def test_the_first_losses_are_the_recorded_ones(experiment):
    found = losses(experiment)
    expected = RUNS[experiment]
    assert found == pytest.approx(expected, rel=2e-3), (
        f"to accept a change of numerics, record {[round(v, 4) for v in found]} and say why"
    )
