"""The precision that is printed is the precision of the forward pass, on the device it runs on."""

import pytest
import torch
from torch import nn

from efficiency_bench.data import build_data
from efficiency_bench.plan.probe import probed
from efficiency_bench.run.device import resolve
from efficiency_bench.run.setup import build_job
from efficiency_bench.training.ranks import SINGLE_PROCESS, Ranks
from efficiency_bench.training.trainer import TrainingRun, batches
from tests.accelerator.job import job_on
from tests.tiny import composed

pytestmark = pytest.mark.usefixtures("card")


class Watched(nn.Module):
    """A small network that notes the precision in which it multiplies."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 10)
        self.seen = set()

    def forward(self, images):
        logits = self.linear(images.mean((2, 3)))
        self.seen.add(logits.dtype)
        return logits


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", torch.bfloat16), ("fp32", torch.float32)]
)
def test_point_01_a_probe_measures_the_precision_that_it_prints(precision, expected):
    config = resolve(composed("experiment=alexnet", "data=digits", f"precision={precision}"))
    assert config.device == "cuda"
    network = Watched()
    probed(config, network, classes=10, seconds=0.0)
    assert network.seen == {expected}


def test_point_01_a_job_without_ranks_trains_in_its_own_precision():
    job = job_on("experiment=alexnet")
    object.__setattr__(job, "model", Watched())
    images, labels, whole, _ = next(batches(job))
    TrainingRun(job).step(images, labels, whole, 0.5)
    assert job.model.seen == {torch.bfloat16}
    assert job.device.type == "cuda"


@pytest.mark.parametrize("ranks", [SINGLE_PROCESS, Ranks(device=torch.device("cpu"))])
def test_point_01_a_job_with_ranks_on_another_device_is_refused(ranks):
    config = resolve(composed("experiment=alexnet", "data=digits"))
    data = build_data(config.data, config.recipe, 0, torch.device("cuda"))
    with pytest.raises(ValueError, match="ranks are on cpu, the network on cuda"):
        build_job(config, data, None, lambda: False, ranks)
