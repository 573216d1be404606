"""The number of steps that a budget pays for."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.config import ProgressiveConfig
from efficiency_bench.training.budget import ScheduleCost
from efficiency_bench.training.schedule import side_px

CONSTANT = ProgressiveConfig()
GROWING = ProgressiveConfig(start_fraction=0.5, until=0.5, stages=3)


def cost(progressive=CONSTANT, train_images=100, batch_size=32, macs=None):
    sides = {16: 1000, 24: 2250, 32: 4000}
    per_epoch = math.ceil(train_images / batch_size)
    return ScheduleCost(train_images, batch_size, per_epoch, 32, progressive, macs or sides)


def test_whole_epochs_cost_their_images_and_a_partial_one_its_batches():
    # batches of 32, 32, 32 and 4 images, each 3 x 4000
    assert [cost().macs(n) // 12000 for n in (1, 3, 4, 5, 8)] == [32, 96, 100, 132, 200]


def test_growing_images_cost_each_epoch_at_its_own_side():
    by_hand = 0
    for epoch in range(8):
        side = side_px(GROWING, 32, epoch / 8)
        by_hand += 3 * 100 * {16: 1000, 24: 2250, 32: 4000}[side]
    assert {side_px(GROWING, 32, epoch / 8) for epoch in range(8)} == {16, 24, 32}
    assert cost(GROWING).macs(32) == by_hand


@given(
    steps=st.integers(1, 500),
    off=st.floats(-0.49, 0.49),
    batch_size=st.integers(2, 50),
)
def test_at_constant_size_it_is_the_nearest_whole_number_of_steps(steps, off, batch_size):
    one = cost(train_images=100 * batch_size, batch_size=batch_size)
    assert one.steps_for((steps + off) * 12000 * batch_size) == steps


@given(macs=st.floats(1e5, 1e9), stages=st.integers(2, 4), until=st.floats(0.1, 1.0))
def test_with_growing_images_no_neighbour_is_nearer_and_it_misses_by_half_a_step(
    macs, stages, until
):
    growing = ProgressiveConfig(start_fraction=0.5, until=until, stages=stages)
    by_side = {side: 4 * side * side for side in range(4, 33, 4)}
    one = cost(growing, macs=by_side)
    found = one.steps_for(macs)
    misses = [abs(one.macs(n) - macs) for n in (max(1, found - 1), found, found + 1)]
    assert misses[1] == min(misses)
    if found > 1:
        assert misses[1] <= 0.5 * 3 * 32 * by_side[32]


def test_a_budget_under_one_step_is_one_step():
    assert cost().steps_for(1.0) == 1


@pytest.mark.parametrize("share", [1.0, 0.5, 0.125])
def test_shares_of_the_baselines_own_schedule_are_shares_of_its_steps(share):
    # 15 epochs of 50 whole batches: 750 steps
    whole = cost(train_images=1600)
    assert whole.steps_for(share * whole.macs(750)) == round(750 * share)
