"""The optimizers against their update rules in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from efficiency_bench.config import OptimizerConfig
from efficiency_bench.training.optimizer import MovingAverage, build_optimizer, decay_groups

GRADIENTS = [np.array([0.5, -2.0, 1e-4]), np.array([-1.0, 0.25, 3e-4]), np.array([0.1, 0.1, 0.0])]
START = np.array([1.0, -1.0, 0.5])


KERNELS = {
    "sgd": ("single", "foreach", "fused"),
    "rmsprop": ("single", "foreach"),
    "rmsprop_tf": ("foreach",),
    "adamw": ("single", "foreach", "fused"),
}


def weights_after(config: OptimizerConfig) -> np.ndarray:
    """Weights after GRADIENTS; checks that every kernel of the optimizer gives the same."""
    first, *others = (_weights_after(config, kernel) for kernel in KERNELS[config.name])
    for other in others:
        assert other == pytest.approx(first, rel=1e-12)
    return first


def _weights_after(config: OptimizerConfig, kernel: str) -> np.ndarray:
    model = nn.Module()
    model.w = nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = build_optimizer(model, config, kernel)
    for gradient in GRADIENTS:
        model.w.grad = torch.tensor(gradient)
        optimizer.step()
    return model.w.detach().numpy()


def test_rmsprop_tf_has_epsilon_inside_the_root_and_starts_at_one():
    lr, alpha, momentum, eps, decay = 0.1, 0.9, 0.8, 1e-3, 0.01
    w, square, velocity = START.copy(), np.ones(3), np.zeros(3)
    for gradient in GRADIENTS:
        g = gradient + decay * w
        square = alpha * square + (1 - alpha) * g**2
        velocity = momentum * velocity + lr * g / np.sqrt(square + eps)
        w = w - velocity
    config = OptimizerConfig(
        name="rmsprop_tf", lr=lr, alpha=alpha, momentum=momentum, eps=eps, weight_decay=decay
    )
    assert weights_after(config) == pytest.approx(w, rel=1e-12)


def test_torchs_rmsprop_differs_with_epsilon_outside_the_root():
    shared = {"lr": 0.1, "alpha": 0.9, "momentum": 0.8, "eps": 1e-3}
    inside = weights_after(OptimizerConfig(name="rmsprop_tf", **shared))
    outside = weights_after(OptimizerConfig(name="rmsprop", **shared))
    assert np.abs(inside - outside).max() > 0.05


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_and_nesterov(nesterov):
    lr, momentum, decay = 0.1, 0.9, 0.01
    w, velocity = START.copy(), np.zeros(3)
    for gradient in GRADIENTS:
        g = gradient + decay * w
        velocity = momentum * velocity + g
        w = w - lr * (g + momentum * velocity if nesterov else velocity)
    config = OptimizerConfig(
        name="sgd", lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=decay
    )
    assert weights_after(config) == pytest.approx(w, rel=1e-12)


def test_adamw_decouples_weight_decay_from_the_gradient():
    lr, b1, b2, eps, decay = 0.1, 0.9, 0.99, 1e-8, 0.01
    w, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADIENTS, start=1):
        w = w * (1 - lr * decay)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    config = OptimizerConfig(name="adamw", lr=lr, betas=[b1, b2], eps=eps, weight_decay=decay)
    assert weights_after(config) == pytest.approx(w, rel=1e-9)


def test_biases_and_normalisation_have_no_decay_if_the_recipe_says_so():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    config = OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.5, decay_norm_and_bias=False)
    decayed, others = decay_groups(model, config)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert [p.ndim for p in others["params"]] == [1, 1, 1, 1]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)


def test_frozen_parameters_are_not_optimised():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    (group,) = decay_groups(model, OptimizerConfig(name="sgd", lr=0.1))
    assert len(group["params"]) == 2


def test_moving_average_follows_tensorflows_ramp_and_copies_counters():
    model = nn.BatchNorm1d(1)
    average = MovingAverage(model, decay=0.5)
    expected = 1.0
    for step, value in enumerate([3.0, 5.0, -2.0], start=1):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(value)
        model.num_batches_tracked += 1
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.model.weight.item() == pytest.approx(expected, rel=1e-4)
    assert average.model.num_batches_tracked.item() == 3
    assert not average.model.weight.requires_grad
