"""On CUDA the documented defaults apply until they are measured on a GPU."""

import copy

import pytest
import torch
import torch.nn.parallel
from torch import nn

from efficiency_bench.data.loader import Shard
from efficiency_bench.run.device import resolve
from efficiency_bench.training import ranks
from efficiency_bench.training.optimizer import MovingAverage
from efficiency_bench.training.ranks import Ranks
from tests.tiny import composed


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(
    ("optimizer", "kernel"),
    [("sgd", "fused"), ("adamw", "fused"), ("rmsprop", "foreach"), ("rmsprop_tf", "foreach")],
)
def test_point_13_the_optimizer_is_fused_where_torch_has_a_fused_one(optimizer, kernel):
    config = composed("experiment=alexnet", f"recipe.optimizer.name={optimizer}")
    assert resolve(config).optimizer_kernel == kernel


@pytest.mark.parametrize(("optimizer", "kernel"), [("sgd", "foreach"), ("adamw", "fused")])
def test_point_13_on_a_cpu_the_measured_defaults_apply(optimizer, kernel):
    config = composed("experiment=alexnet", f"recipe.optimizer.name={optimizer}", "device=cpu")
    assert resolve(config).optimizer_kernel == kernel


@pytest.mark.usefixtures("card", "_flags")
def test_point_13_cudnn_benchmark_is_on():
    torch.backends.cudnn.benchmark = False
    resolve(composed("experiment=alexnet"))
    assert torch.backends.cudnn.benchmark is True


def test_point_13_gradients_are_views_and_buffers_stay_where_they_are(monkeypatch):
    asked = []
    monkeypatch.setattr(
        ranks, "DistributedDataParallel", lambda model, **given: asked.append(given) or model
    )
    Ranks(Shard(0, 2)).parallel(nn.Linear(2, 2))
    assert asked == [{"broadcast_buffers": False, "gradient_as_bucket_view": True}]


def test_point_13_integer_buffers_of_the_average_are_copied_at_once(monkeypatch):
    network = nn.Sequential(*(nn.BatchNorm2d(2) for _ in range(3)))
    average = MovingAverage(network, 0.9)
    for norm in network:
        norm.num_batches_tracked += 7
    before = copy.deepcopy(average.model.state_dict())
    calls = []
    copying = torch._foreach_copy_
    monkeypatch.setattr(torch, "_foreach_copy_", lambda *a: (calls.append(a), copying(*a)))
    average.update()
    assert len(calls) == 1
    assert [int(norm.num_batches_tracked) for norm in average.model] == [7, 7, 7]
    assert [int(before[f"{i}.num_batches_tracked"]) for i in range(3)] == [0, 0, 0]


def test_point_13_an_average_without_integer_buffers_updates():
    MovingAverage(nn.Linear(2, 2), 0.9).update()
