"""The verifier's recount against the trainer's functions, which are independent of it."""

import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.config import EvaluationConfig, ProgressiveConfig
from efficiency_bench.counting import SegmentMeter
from efficiency_bench.counting.forward import ForwardCount
from efficiency_bench.data.loader import batch_sizes
from efficiency_bench.records import TERAFLOPS_DAY, Target, paper3x_tfs_days
from efficiency_bench.stop_rule import due, evaluations_per_epoch
from efficiency_bench.training.schedule import side_px
from efficiency_bench.verify.recount import StepPlan, interpolated_images


def plan(train_images=1000, batch_size=32, epochs=5.0, growth=(1.0, 0.0, 1), cadence=None):
    start, until, stages = growth
    progressive = {"start_fraction": start, "until": until, "stages": stages}
    config = {
        "recipe": {"epochs": epochs, "batch_size": batch_size, "progressive": progressive},
        "data": {"image_px": 32},
        "evaluation": cadence or {"per_epoch": 1, "per_epoch_near": 4},
    }
    return StepPlan(config, train_images, val_images=400, classes=10)


growths = st.tuples(st.floats(0.1, 1), st.floats(0.01, 1), st.integers(1, 6))
sizes = st.integers(1, 300)


@given(sizes, sizes, st.integers(0, 2000))
def test_images_after_any_step_are_the_sum_of_the_loaders_batches(train_images, batch_size, steps):
    batch_size = min(batch_size, train_images)
    counted = plan(train_images, batch_size)
    loader = batch_sizes(train_images, batch_size)
    assert counted.steps_per_epoch == len(loader)
    epochs, rest = divmod(steps, len(loader))
    assert counted.images(steps) == epochs * sum(loader) + sum(loader[:rest])


@given(sizes, st.integers(2, 64), st.floats(0.1, 8), growths, st.integers(0, 400))
def test_segments_match_the_trainers_meters(train_images, batch_size, epochs, growth, steps):
    batch_size = min(batch_size, train_images)
    counted = plan(train_images, batch_size, epochs, growth)
    steps = min(steps, counted.total_steps)
    progressive = ProgressiveConfig(*growth)
    loader, meter = batch_sizes(train_images, batch_size), SegmentMeter()
    costs = {
        side: ForwardCount(side, side**2, side, 2 * side**2 - side, {}, {}, {})
        for side in range(4, 33, 4)
    }
    for step in range(steps):
        epoch = step // len(loader)
        side = side_px(progressive, 32, min(1.0, epoch / epochs))
        meter.add(loader[step % len(loader)], costs[side])
    counts = {
        str(side): {
            "forward_macs": cost.forward_macs,
            "first_layer_macs": cost.first_layer_macs,
            "backward_macs": cost.backward_macs,
        }
        for side, cost in costs.items()
    }
    assert counted.segments(steps, counts) == meter.segments
    (threefold,) = counted.threefold_macs([steps], counts)
    assert threefold / TERAFLOPS_DAY == pytest.approx(paper3x_tfs_days(meter.segments), rel=1e-12)


@given(
    st.integers(1, 200),
    st.integers(1, 40),
    st.tuples(st.integers(1, 6), st.integers(1, 30)),
    st.lists(st.one_of(st.floats(0, 1), st.floats(0.7, 0.85)), max_size=60),
    st.booleans(),
)
def test_evaluations_are_due_at_the_trainers_steps(
    train_images, batch_size, cadence, accuracies, baseline
):
    batch_size = min(batch_size, train_images)
    coarse, near = cadence
    config = EvaluationConfig(coarse, near)
    counted = plan(train_images, batch_size, 3.0, cadence=asdict(config))
    target = None if baseline else Target(metric="top1", value=0.8)
    length, expected, curve, latest = counted.steps_per_epoch, [], [], iter(accuracies)
    for step in range(1, counted.total_steps + 1):
        per_epoch = evaluations_per_epoch(config, target, curve, 0.1, 400)
        if step == counted.total_steps or due(step, length, per_epoch):
            expected.append(step)
            accuracy = next(latest, None)
            if accuracy is None:
                break
            curve.append((step / length, accuracy))
    found = list(counted.evaluated_steps(target, accuracies, counted.total_steps))
    assert found == expected


def test_an_entry_of_the_old_cadence_is_recounted_with_it():
    counted = plan(100, 10, 4.0, cadence={"per_epoch": 1, "per_epoch_near": 2, "near": 0.1})
    steps = counted.evaluated_steps(Target(metric="top1", value=0.8), [0.2, 0.75, 0.76, 0.6], 40)
    assert list(steps) == [10, 20, 25, 30, 40]


def test_an_absurd_log_is_rejected_instead_of_recounted_for_days():
    with pytest.raises(ValueError, match="more than"):
        plan().segments(10**15, {})


def test_the_crossing_is_interpolated_in_log_odds():
    # log odds of 1/4, 1/2 and 3/4 are -log 3, 0 and log 3: half-way in images
    points = [(100, 0.25, 400), (300, 0.75, 400)]
    assert interpolated_images(0.5, points, 1) == pytest.approx(200)
    assert interpolated_images(0.2, points, 0) == 100
    assert interpolated_images(0.75, points, 1) == 300
    # an accuracy of 1 is moved inwards by half an image: log odds of 1 - 0.5/400
    full = [(100, 0.25, 400), (300, 1.0, 400)]
    share = math.log(3) / (math.log(3) + math.log(799))
    assert interpolated_images(0.5, full, 1) == pytest.approx(100 + 200 * share)
