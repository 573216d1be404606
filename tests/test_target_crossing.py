"""Interpolated crossings, against closed forms on the logit scale."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.stop_rule import first_index, sustained_index
from efficiency_bench.target_crossing import first_crossing, sustained_crossing
from tests.ledger.factory import make_evaluation, make_target


def curve(*accuracies, step=1000, **overrides):
    return [make_evaluation((i + 1) * step, a, **overrides) for i, a in enumerate(accuracies)]


def test_a_target_halfway_in_logits_is_crossed_halfway_in_images():
    # logit(0.1) = -logit(0.9), and logit(0.5) = 0
    target = make_target(value=0.5)
    assert first_crossing(target, curve(0.1, 0.9)) == pytest.approx(1500)


def test_a_logistic_curve_is_crossed_at_its_closed_form():
    def accuracy(images):
        return 1 / (1 + math.exp(-(images - 5200) / 700))

    evaluations = curve(*[accuracy(1000 * (i + 1)) for i in range(9)], val_images=10**9)
    target = make_target(value=accuracy(5700))
    assert first_crossing(target, evaluations) == pytest.approx(5700, abs=1e-3)


def test_the_tolerance_moves_the_threshold():
    target = make_target(value=0.791, tolerance=0.0005)
    exactly = curve(0.5, 0.7905)
    assert first_crossing(target, exactly) == pytest.approx(2000)
    assert first_crossing(make_target(value=0.791), exactly) is None


def test_sustained_waits_for_confirmation_and_first_does_not():
    target = make_target(value=0.8, confirmations=2)
    evaluations = curve(0.7, 0.8, 0.79, 0.8, 0.81, 0.82)
    assert first_crossing(target, evaluations) == 2000
    assert sustained_crossing(target, evaluations, schedule_over=False) == 4000
    assert sustained_crossing(target, evaluations[:5], schedule_over=False) is None
    assert sustained_crossing(target, evaluations[:5], schedule_over=True) == 4000


def test_a_curve_below_the_target_has_no_crossing():
    target = make_target(value=0.9)
    assert first_crossing(target, curve(0.1, 0.5)) is None
    assert sustained_crossing(target, curve(0.1, 0.5), schedule_over=True) is None
    assert first_crossing(target, []) is None


def test_a_first_evaluation_at_the_target_gives_its_own_images():
    target = make_target(value=0.5, confirmations=0)
    assert first_crossing(target, curve(0.6, 0.7)) == 1000
    assert sustained_crossing(target, curve(0.6), schedule_over=False) == 1000


@pytest.mark.parametrize("value", [0.5, 0.999, 0.9999, 1.0])
def test_accuracies_of_0_and_1_are_half_an_image_inside(value):
    # accuracies 0 and 1 on 400 images count as 0.5/400 and 399.5/400, so 0.5 is in the middle
    crossing = first_crossing(make_target(value=value), curve(0.0, 1.0))
    assert crossing is not None
    expected = {0.5: 1500.0}.get(value, 2000.0)  # past 399.5/400 it is the later one
    assert crossing == pytest.approx(expected)


def test_top5_is_used_where_it_is_the_metric():
    evaluations = [
        make_evaluation(1000, 0.0, top5=0.1),
        make_evaluation(2000, 0.0, top5=0.9),
    ]
    assert first_crossing(make_target(metric="top5", value=0.5), evaluations) == (
        pytest.approx(1500)
    )


correct_counts = st.lists(st.integers(0, 400), min_size=1, max_size=12)


@given(correct_counts, st.integers(0, 400), st.integers(0, 3), st.booleans())
def test_a_crossing_lies_after_the_evaluation_before_and_not_after_its_own(
    counts, needed, confirmations, schedule_over
):
    accuracies = [count / 400 for count in counts]
    evaluations = curve(*accuracies)
    target = make_target(value=needed / 400, confirmations=confirmations)
    for index, crossing in (
        (first_index(target, accuracies), first_crossing(target, evaluations)),
        (
            sustained_index(target, accuracies, schedule_over),
            sustained_crossing(target, evaluations, schedule_over),
        ),
    ):
        if index is None:
            assert crossing is None
        elif index == 0:
            assert crossing == 1000
        else:
            assert not target.met_by(accuracies[index - 1])
            assert 1000 * index < crossing <= 1000 * (index + 1)


@given(correct_counts, st.integers(1, 399), st.integers(1, 40))
def test_a_higher_target_is_never_crossed_earlier(counts, needed, more):
    evaluations = curve(*[count / 400 for count in counts])
    lower = first_crossing(make_target(value=needed / 400), evaluations)
    higher = first_crossing(make_target(value=min(needed + more, 400) / 400), evaluations)
    assert higher is None or (lower is not None and lower <= higher)
