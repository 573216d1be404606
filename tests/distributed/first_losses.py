"""Writes the first losses of a recipe in float64 to a file; runs in each of several processes.

In float64 the rounding of sums in a different order stays near 1e-12, so that any bug (a batch
not sharded, a gradient not averaged, an image augmented differently) stands out.
"""

import json
from pathlib import Path

import torch

from efficiency_bench.data import build_data
from efficiency_bench.run.device import resolve
from efficiency_bench.run.processes import join, leave, this_process
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.trainer import TrainingRun, batches
from tests.tiny import TINY, composed

STEPS = 11
"""One more than an epoch of 300 images in batches of 32: includes the partial batch."""


def write_first_losses(experiment: str, out: Path) -> None:
    config = resolve(composed(f"experiment={experiment}", *TINY))
    ranks = join(this_process(), "cpu")
    data = build_data(config.data, config.recipe, 0, ranks.device, ranks.shard)
    job = build_job(config, data, None, lambda: False, ranks)
    job.model.double()
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]  # images, loss
    torch.manual_seed(0)
    run = TrainingRun(job)
    losses, sizes = [], []
    for images, labels, whole, _ in batches(job):
        progress = (run.steps + 0.5) / job.total_steps
        loss = run.step(images.double(), labels, whole, progress)
        run.steps += 1
        losses.append(float(ranks.all_reduce_sum(loss)) / ranks.shard.world_size)
        sizes.append(int(ranks.all_reduce_sum(torch.tensor(len(labels)))))
        if run.steps == STEPS:
            break
    state = run.step.evaluated_model.state_dict()
    buffers = {k: float(v.double().sum()) for k, v in state.items() if "running" in k}
    if ranks.is_main:
        out.write_text(json.dumps({"losses": losses, "sizes": sizes, "buffers": buffers}))
    leave()
