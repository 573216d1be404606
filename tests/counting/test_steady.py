"""Networks whose cost per image varies are rejected; networks that only mask are accepted."""

import random
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from efficiency_bench.counting import CostVariesError, audit, audited_count
from efficiency_bench.counting.audit import count_steady_step
from efficiency_bench.models import build_model

SIDE, WIDTH, CLASSES = 8, 4, 5
SHAPE = (3, SIDE, SIDE)
STEM, BLOCK, HEAD = SIDE * SIDE * 3 * WIDTH, SIDE * SIDE * WIDTH * WIDTH, WIDTH * CLASSES
"""Closed forms, MACs per image: two 1x1 convolutions and a linear layer after global pooling."""


class Net(nn.Module):
    """A stem, a block that runs ``times`` times, and a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 1)
        self.block = nn.Conv2d(WIDTH, WIDTH, 1)
        self.head = nn.Linear(WIDTH, CLASSES)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.steps = 0

    def times(self, x):
        return 1

    def forward(self, x):
        x = self.stem(x)
        for _ in range(self.times(x)):
            x = x + self.block(x)
        return self.head(x.mean((2, 3)))


def refused(model):
    with pytest.raises(CostVariesError, match=f"cannot count {type(model).__name__}: ") as refusal:
        audited_count(model, SHAPE)
    found = audit(model, SHAPE)
    assert not found.agrees
    assert set(found.varies) <= set(found.disagreements)
    return str(refusal.value)


class AcrossTheBatch(nn.Module):
    """Each image attends to all images of the batch: n x n scores."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3 * SIDE * SIDE, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        rows = self.mix(x.flatten(1))
        return self.head(F.scaled_dot_product_attention(rows[None], rows[None], rows[None])[0])


def test_attention_across_the_batch():
    linear = 3 * SIDE * SIDE * WIDTH + WIDTH * CLASSES
    two, three = (n * linear + 2 * n * n * WIDTH for n in (2, 3))
    words = f"costs {two} MACs for 2 images and {three} for 3 in one batch, in the model itself"
    assert words in refused(AcrossTheBatch())


class TableAndBatch(AcrossTheBatch):
    """Adds a product without the images, which costs a batch as much as one image."""

    def __init__(self):
        super().__init__()
        self.table = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return super().forward(x) + self.head(self.table(torch.ones(1, WIDTH)))


def test_attention_across_the_batch_with_a_constant_table():
    assert "3 images and" in (words := refused(TableAndBatch()))
    assert "for 4 in one batch" in words


DRAWS = {
    "rand": lambda: torch.rand(1).item() < 0.1,
    "rand_like": lambda: bool(torch.rand_like(torch.ones(())) < 0.9),
    "rand, its own generator": lambda: torch.rand(1, generator=torch.Generator()).item() < 0.1,
    "uniform_": lambda: torch.empty(1).uniform_(-1, 1).item() < 0.99,
    "bernoulli": lambda: torch.bernoulli(torch.tensor(0.01)).item() == 1,
    "bernoulli_": lambda: torch.empty(1).bernoulli_(0.99).item() == 1,
    "randint": lambda: torch.randint(10, (1,)).item() == 0,
    "randint, low": lambda: torch.randint(3, 10, (1,)).item() == 9,
    "random_": lambda: torch.empty(1).random_(5).item() == 0,
    "randn": lambda: torch.randn(1).item() > 2.5,
    "normal_": lambda: torch.empty(1).normal_(1, 2).item() > 6,
}


class RandomDepth(Net):
    """Runs its block only if ``coin`` returns true."""

    def __init__(self, coin):
        super().__init__()
        self.coin = coin

    def times(self, x):
        return int(self.coin())


@pytest.mark.parametrize("name", DRAWS)
def test_a_random_depth_is_rejected(name):
    words = refused(RandomDepth(DRAWS[name]))
    with_block, without = 2 * (STEM + BLOCK + HEAD), 2 * (STEM + HEAD)
    first, second = map(int, re.findall(r"(\d+) MACs for 2 images and (\d+) for 2 ", words)[0])
    assert {first, second} == {with_block, without}
    assert "with other random numbers, in block" in words


class DrawsUntilHigh(Net):
    """Adds a block per draw below 0.5: with only lowest draws it would never end."""

    def times(self, x):
        blocks = 0
        while torch.rand(()) < 0.5:
            blocks += 1
        return blocks


def test_a_loop_that_waits_for_a_draw_terminates():
    assert ", in block" in refused(DrawsUntilHigh())


@pytest.mark.parametrize(
    ("coin", "whose"),
    [(random.random, "Python's random"), (np.random.rand, "NumPy's random")],
    ids=["python", "numpy"],
)
def test_other_generators_are_named_and_restored(coin, whose):
    random.seed(1), np.random.seed(1)
    expected = coin()
    random.seed(1), np.random.seed(1)
    found = audit(RandomDepth(lambda: coin() < 2), SHAPE)
    assert coin() == expected
    (varies,) = found.disagreements
    assert varies.startswith(f"it draws from {whose}, ")


class Certain(Net):
    """Draws with a chance of 0 or 1, whose outcome is certain."""

    def times(self, x):
        return (
            int(torch.rand(1) < 1)
            + int(torch.rand(1) < 0)
            + int(torch.empty(1).bernoulli_(1.0).item() + torch.bernoulli(torch.zeros(1)).item())
        )


def test_chances_of_zero_and_one_are_not_random():
    assert audited_count(Certain(), SHAPE).forward_macs == STEM + 2 * BLOCK + HEAD


class Masked(Net):
    """Stochastic depth as in torchvision: the block runs and is multiplied by a mask."""

    def __init__(self, mode):
        super().__init__()
        self.drop, self.dropout = StochasticDepth(0.5, mode), nn.Dropout(0.5)

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.dropout((x + self.drop(self.block(x))).mean((2, 3))))


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_a_random_mask_is_accepted(mode):
    found = audit(Masked(mode), SHAPE)
    assert found.agrees
    assert found.count.forward_macs == STEM + BLOCK + HEAD


@pytest.mark.parametrize("name", ["torchvision:efficientnet_b0", "torchvision:convnext_tiny"])
def test_stochastic_depth_of_torchvision_is_accepted(name):
    model = build_model(name, form="imagenet", num_classes=10)
    assert any(isinstance(m, StochasticDepth) and m.p > 0 for m in model.modules())
    assert audit(model, (3, 64, 64)).agrees


class Grows(Net):
    """Adds a block every ``every`` steps, counted in an attribute or in a buffer."""

    def __init__(self, every, name):
        super().__init__()
        self.every, self.name = every, name

    def times(self, x):
        before = int(getattr(self, self.name))
        setattr(self, self.name, getattr(self, self.name) + 1)
        return 1 + min(before // self.every, 3)


def test_a_depth_that_grows_every_step_is_rejected():
    words = refused(Grows(1, "steps"))
    one, two = 2 * (STEM + BLOCK + HEAD), 3 * (STEM + 2 * BLOCK + HEAD)
    assert f"{one} MACs for 2 images and {two} for 3 at the second step, in block" in words


@pytest.mark.parametrize("name", ["steps", "seen"])
@pytest.mark.parametrize("every", [7, 5_000, 900_000])
def test_a_depth_that_grows_much_later_is_rejected(every, name):
    words = refused(Grows(every, name))
    assert re.search(rf"once its own {name} has counted \d+ more steps, in block", words)


class Counts(Net):
    """Counts its steps without using the count."""

    def times(self, x):
        self.steps += 1
        self.seen += 1
        return 1


def test_a_counter_without_effect_is_accepted():
    assert audited_count(Counts(), SHAPE).forward_macs == STEM + BLOCK + HEAD


def test_a_network_without_contractions_is_rejected():
    class Pools(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    assert "F = 0: it has no contraction" in refused(Pools())


def test_counting_a_varying_network_leaves_it_unchanged():
    model = Counts().train()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = torch.rand(2), random.random(), np.random.rand()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    count, varies = count_steady_step(model, SHAPE)
    assert (count.forward_macs, varies) == (STEM + BLOCK + HEAD, ())
    assert (model.steps, int(model.seen)) == (0, 0)
    assert torch.equal(torch.rand(2), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]
