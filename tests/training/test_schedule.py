"""Schedules at chosen points, against values computed by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.config import ScheduleConfig
from efficiency_bench.config_checks import SCHEDULES
from efficiency_bench.training.schedule import rate_multiple


def test_step_divides_by_ten_at_epochs_30_and_60_of_90():
    schedule = ScheduleConfig(name="step", milestones=[1 / 3, 2 / 3], factor=0.1)
    at_epoch = [rate_multiple(schedule, epoch / 90) for epoch in (0, 29.9, 30, 59.9, 60, 89.9)]
    assert at_epoch == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_exponential_decay_is_linear_in_the_logarithm_and_totals_1000():
    schedule = ScheduleConfig(name="exponential", final_fraction=1e-3)
    at = [rate_multiple(schedule, p) for p in (0, 1 / 3, 2 / 3, 1)]
    assert at == pytest.approx([1, 0.1, 0.01, 0.001])


def test_staircase_is_efficientnets_097_every_2_4_epochs_of_350():
    schedule = ScheduleConfig(name="staircase", factor=0.97, period=2.4 / 350)
    at_epoch = [rate_multiple(schedule, epoch / 350) for epoch in (0, 2.3, 2.5, 24.1)]
    assert at_epoch == pytest.approx([1, 1, 0.97, 0.97**10])


def test_warm_up_is_linear_from_zero_and_the_shape_fills_the_rest():
    schedule = ScheduleConfig(name="linear", warmup=0.2)
    at = [rate_multiple(schedule, p) for p in (0, 0.05, 0.1, 0.2, 0.6, 1)]
    assert at == pytest.approx([0, 0.25, 0.5, 1, 0.5, 0])


def test_cosine_halves_in_the_middle():
    schedule = ScheduleConfig(name="cosine", final_fraction=0.0)
    assert rate_multiple(schedule, 0.5) == pytest.approx(0.5)
    assert rate_multiple(schedule, 0.25) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_one_cycle_rises_to_its_peak_and_falls_to_its_end():
    schedule = ScheduleConfig(name="one_cycle", peak=0.25, start_fraction=0.2, final_fraction=0.0)
    at = [rate_multiple(schedule, p) for p in (0, 0.125, 0.25, 0.625, 1)]
    assert at == pytest.approx([0.2, 0.6, 1, 0.5, 0])


@pytest.mark.parametrize("name", SCHEDULES)
@given(progress=st.floats(0, 1), warmup=st.floats(0, 0.9))
def test_every_schedule_stays_between_zero_and_the_peak(name, progress, warmup):
    schedule = ScheduleConfig(
        name=name,
        warmup=warmup,
        milestones=[0.5],
        period=0.1,
        final_fraction=1e-3,
    )
    assert 0 <= rate_multiple(schedule, progress) <= 1 + 1e-12
