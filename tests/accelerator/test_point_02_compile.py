"""Every shape of a run has a static graph, and what is left uncompiled is reported."""

import functools
import io
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from torch import nn

from efficiency_bench.errors import UserError
from efficiency_bench.run.terminal import RunProgress
from efficiency_bench.training.compile import compile_step
from efficiency_bench.training.ranks import SINGLE_PROCESS
from efficiency_bench.training.step import Numerics, Step
from tests.tiny import composed


class Graphs(list):
    """A compiler that compiles nothing and notes of each graph: symbolic or not, and its runs."""

    def __call__(self, graph, inputs):
        sizes = [s for v in inputs if isinstance(v, torch.Tensor) for s in v.shape]
        symbolic = any(isinstance(size, torch.SymInt) for size in (*sizes, *inputs))
        runs = {"symbolic": symbolic, "runs": 0}
        self.append(runs)

        def run(*arguments):
            runs["runs"] += 1
            return graph.forward(*arguments)

        return run


@pytest.fixture
def graphs(monkeypatch):
    found = Graphs()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=found))
    limits = torch._dynamo.config
    before = limits.recompile_limit, limits.accumulated_recompile_limit
    yield found
    limits.recompile_limit, limits.accumulated_recompile_limit = before
    torch._dynamo.reset()


class Breaking(nn.Module):
    """A network with a place that torch does not compile."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 10)

    def forward(self, images):
        pooled = images.mean((2, 3))
        torch._dynamo.graph_break()
        return self.linear(pooled)


def plain():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))


def step(network):
    recipe = composed("experiment=resnet18").recipe
    return Step(network.train(), recipe, Numerics(compile=True), 0.0, SINGLE_PROCESS)


def trained(step, *sizes):
    for images in sizes:
        step(torch.randn(images, 3, 8, 8), torch.zeros(images, dtype=torch.int64), images, 0.5)


def test_point_02_full_and_partial_batches_run_static_graphs(graphs):
    ours = step(plain())
    compiled = compile_step(ours, [(8, 8), (3, 8)])
    trained(ours, *(8, 8, 3) * 4)
    assert [g["symbolic"] for g in graphs] == [False, False]
    assert [g["runs"] for g in graphs] == [1 + 8, 1 + 4]
    assert (compiled.graphs, compiled.left_eager) == (2, ())


def test_point_02_every_shape_of_a_run_is_compiled_whatever_torchs_limit(graphs):
    sizes = range(2, 16)
    ours = step(plain())
    assert compile_step(ours, [(images, 8) for images in sizes]).graphs == len(sizes)
    trained(ours, *sizes)
    assert [g["runs"] for g in graphs] == [2] * len(sizes)


def test_point_02_later_runs_of_a_process_are_compiled_too(graphs):
    for _ in range(12):
        compile_step(step(plain()), [(4, 8)])
    assert len(graphs) == 12


def test_point_02_one_graph_too_many_is_an_error_instead_of_running_uncompiled(graphs, monkeypatch):
    monkeypatch.setattr("efficiency_bench.training.compile._make_room", lambda graphs: None)
    torch._dynamo.config.recompile_limit = 2
    with pytest.raises(UserError, match="cannot compile this network here"):
        compile_step(step(plain()), [(2, 8), (3, 8), (4, 8)])


def test_point_02_a_part_that_stays_uncompiled_is_reported(graphs):
    compiled = compile_step(step(Breaking()), [(4, 8)])
    assert len(compiled.left_eager) == 1
    said = io.StringIO()
    progress = RunProgress(Console(file=said, width=200))
    progress({"event": "compiled", "left_eager": compiled.left_eager})
    assert "note: a part of the network is not compiled" in said.getvalue()


@pytest.mark.parametrize(
    ("device", "alone", "mode"),
    [("cuda", True, "reduce-overhead"), ("cuda", False, None), ("cpu", True, None)],
)
def test_cuda_graphs_are_asked_for_on_one_gpu_only(device, alone, mode, card):
    ours = step(plain())
    ours.forward = lambda images, labels, whole: ours.loss(ours.shared_model(images), labels)
    ours.ranks = SimpleNamespace(alone=alone, device=torch.device(device))
    compile_step(ours, [(4, 8)])
    assert card.compiled == [{"dynamic": False, "mode": mode}]
