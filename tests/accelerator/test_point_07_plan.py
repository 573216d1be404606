"""A plan for several GPUs says "at best", and kernel launches bound the time of a step."""

import pytest
from torch import nn

from efficiency_bench.counting import audited_count
from efficiency_bench.plan.hardware import load_hardware
from efficiency_bench.plan.row import (
    COLLECTIVE_SECONDS,
    LAUNCH_SECONDS,
    Place,
    least_step_seconds,
)
from tests.tiny import composed


def network():
    """Six layers, two of them batch norms."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def rate(machine, batch_size, model):
    place = Place(load_hardware(machine), 0.0)
    config = composed("experiment=resnet18", f"recipe.batch_size={batch_size}")
    count = audited_count(network(), (3, 32, 32))
    return place.rate(config, model, None, count)


def test_point_07_a_step_takes_at_least_its_launches_and_collectives():
    expected = 6 * 3 * LAUNCH_SECONDS + (2 * 2 + 1) * COLLECTIVE_SECONDS
    assert least_step_seconds(network()) == pytest.approx(expected)


def test_point_07_a_plan_for_eight_gpus_is_a_best_case_and_bounded():
    found = rate("a100x8", 256, network())
    assert found.source.startswith("at best")
    assert "32 images per GPU" in found.source
    assert found.images_per_second == pytest.approx(256 / least_step_seconds(network()))


def test_point_07_a_large_batch_is_bounded_by_arithmetic_and_one_gpu_is_unchanged():
    model = network()
    many = rate("a100x8", 10**9, model).images_per_second
    machine, count = load_hardware("a100x8"), audited_count(network(), (3, 32, 32))
    flops = 2 * (count.forward_macs + count.backward_macs)
    assert many == pytest.approx(machine.flops_per_second("bf16") / flops)
    assert "at best" not in rate("a100x1", 256, model).source
