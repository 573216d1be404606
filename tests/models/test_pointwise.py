"""Strided 1x1 convolutions: the same result as torch's, without its fault on CPUs."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from efficiency_bench.models import MODELS, build_model
from efficiency_bench.models.pointwise import StridedPointwise, is_strided_pointwise

STEPS = """
import torch
from efficiency_bench.models.pointwise import StridedPointwise
torch.set_num_threads(2)
layer = StridedPointwise(8, 16, 1, stride=2, bias=False).to(memory_format=torch.channels_last)
images = torch.randn(29, 8, 16, 16, requires_grad=True)
for _ in range(30):
    layer(images.to(memory_format=torch.channels_last)).sum().backward()
"""
"""With nn.Conv2d in its place this ends with a segmentation fault (torch 2.14.1)."""


@pytest.mark.parametrize("side_px", [8, 7])
def test_it_computes_what_torch_computes(side_px):
    own = StridedPointwise(5, 7, 1, stride=2).double()
    torchs = nn.Conv2d(5, 7, 1, stride=2).double()
    torchs.load_state_dict(own.state_dict())
    images = torch.randn(3, 5, side_px, side_px, dtype=torch.float64)
    for layer in (own, torchs):
        layer(images).square().sum().backward()
    torch.testing.assert_close(own(images), torchs(images))
    torch.testing.assert_close(own.weight.grad, torchs.weight.grad)


def test_it_keeps_the_memory_format():
    images = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
    layer = StridedPointwise(8, 16, 1, stride=2).to(memory_format=torch.channels_last)
    assert layer(images).is_contiguous(memory_format=torch.channels_last)


def test_training_with_few_channels_and_an_odd_batch_ends_well():
    ran = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", MODELS)
def test_no_small_form_leaves_such_a_layer_to_torch(name):
    network = build_model(name, form="small", num_classes=10)
    strided = [m for m in network.modules() if is_strided_pointwise(m)]
    assert all(isinstance(m, StridedPointwise) for m in strided)
    assert bool(strided) == name.startswith(("resnet", "resnext", "wide", "regnet"))
