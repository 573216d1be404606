"""A skipped line rejects a curve exactly if a plausible accuracy would change its crossing."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from efficiency_bench.dataset_facts import IMAGENET
from efficiency_bench.ledger.importers.curve import Curve, MissingLine, Point, decisive
from efficiency_bench.records import Evaluation, Target
from efficiency_bench.target_crossing import first_crossing, sustained_crossing

TARGET = Target(metric="top5", value=0.791)
NOISE = 10 * math.sqrt(0.791 * 0.209 / 50_000)
"""Ten binomial standard errors at the target: 1.82 points."""

RISING = (0.3, 0.5, 0.65, 0.74, 0.77, 0.80, 0.81, 0.82, 0.83, 0.84)
"""First above 79.1 % at the sixth evaluation, confirmed by the seventh and eighth."""


def curve(accuracies, missing=(), whole=True):
    points = [Point(n + 1.0, a / 2, a, 1.0) for n, a in enumerate(accuracies)]
    return Curve("f", "n", None, "r", IMAGENET, None, "s", points, whole=whole, missing=missing)


def without(accuracies, at, whole=True):
    """Return the curve with evaluation ``at`` skipped."""
    points = [Point(n + 1.0, a / 2, a, 1.0) for n, a in enumerate(accuracies) if n != at]
    lost = (MissingLine(line=at + 2, after=at),)
    return Curve("f", "n", None, "r", IMAGENET, None, "s", points, whole=whole, missing=lost)


def answer(found):
    """Return both crossings from the estimator of the fit, in images."""
    evaluations = [
        Evaluation(
            images=int(p.epochs * 1000),
            steps=None,
            epochs=p.epochs,
            top1=p.top1,
            top5=p.top5,
            loss=None,
            val_images=50_000,
            train_seconds=1.0,
            evaluation_seconds=None,
        )
        for p in found.points
    ]
    sustained = sustained_crossing(TARGET, evaluations, schedule_over=found.whole)
    return first_crossing(TARGET, evaluations), sustained


@pytest.mark.parametrize("at", range(len(RISING)))
def test_only_missing_evaluations_near_the_crossing_are_decisive(at):
    # 74 %, between 65 % and 77 %, cannot have been 79.1 % with a swing of 1.8 points; 81 %, which
    # confirms, lies above 80 % less that swing, so that it may not; 82 % above 81 % less it
    lines = {missing.line - 2 for missing in decisive(without(RISING, at), TARGET)}
    assert lines == ({at} if 4 <= at <= 6 else set())


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=12).map(
        lambda levels: [0.6 + level / 1000 for level in levels]
    ),
    st.data(),
    st.booleans(),
)
def test_a_crossing_that_a_likely_missing_accuracy_would_change_is_rejected(
    accuracies, data, whole
):
    at = data.draw(st.integers(0, len(accuracies) - 1))
    known = without(accuracies, at, whole)
    levels = [p.top5 for p in known.points]
    neighbours = levels[max(at - 1, 0) : at + 1]
    falls = [a - b for a, b in pairwise(levels)]
    swing = max([NOISE, *falls])
    assume(min(neighbours) - swing <= accuracies[at] <= max(neighbours) + swing)
    changed = answer(known) != answer(curve(accuracies, whole=whole))
    assert not changed or decisive(known, TARGET)


def test_a_curve_with_large_drops_gets_a_wider_margin():
    # between 60 and 70 %: out of reach of 79.1 %, but not once the curve has fallen by 12 points
    steady, jumping = (0.3, 0.4, 0.6, 0.65, 0.7, 0.8), (0.4, 0.28, 0.6, 0.65, 0.7, 0.8)
    assert decisive(without(steady, 3), TARGET) == []
    assert decisive(without(jumping, 3), TARGET) != []


def test_a_line_lost_at_the_end_of_a_truncated_log_is_decisive():
    assert decisive(without((0.3, 0.5, 0.8, 0.81), 3, whole=False), TARGET) != []
    assert decisive(without((0.3, 0.5, 0.6, 0.61), 3, whole=False), TARGET) == []


def test_a_repeated_evaluation_is_decisive_only_if_it_disagrees():
    def again(accuracy, at=5):
        point = Point(at + 1.0, accuracy / 2, accuracy, 1.0)
        return curve(RISING, (MissingLine(12, at + 1, point),))

    assert decisive(again(0.8001), TARGET) == []
    assert decisive(again(0.7905), TARGET) != []
    assert decisive(again(0.7905, at=7), TARGET) != []  # the last that confirms
    assert decisive(again(0.7905, at=8), TARGET) == []
