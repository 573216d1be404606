"""The horizon's estimate: closed forms, coverage on learners whose answer is known."""

import math

import numpy as np
import pytest

from benchmarks.horizon_coverage import SHAPES, searched
from efficiency_bench.fitting.horizon import Trial, horizon, logit, scatter
from tests.ledger.factory import make_target

TARGET = make_target(value=0.9)
N = 10_000


def trials(pairs):
    return [Trial(epochs, accuracy, N) for epochs, accuracy in pairs]


def accuracy_at(height):
    return 1 / (1 + math.exp(-logit(0.9, N) - height))


def test_a_straight_line_is_inverted_where_it_meets_the_target():
    # one logit a doubling, through the target at 6 epochs
    exact = trials((e, accuracy_at(math.log2(e / 6))) for e in (2, 4, 8, 16))
    found = horizon(TARGET, exact)
    assert found.epochs == pytest.approx(6, rel=0.01)
    assert found.low_epochs < 6 < found.high_epochs


def test_more_seeds_that_agree_make_the_interval_shorter():
    pairs = [(e, accuracy_at(math.log2(e / 6))) for e in (4, 8)]
    once, often = horizon(TARGET, trials(pairs)), horizon(TARGET, trials(pairs * 5))
    assert often.log2_width < 0.8 * once.log2_width


def test_scatter_is_the_pooled_variance_with_the_binomial_one():
    heights = (-0.1, 0.1)
    rungs = {4.0: trials((4.0, accuracy_at(h)) for h in heights)}
    binomial = 1 / (N * 0.9 * 0.1)
    # one degree of freedom with sum of squares 0.02; the binomial counts as three
    found = scatter(TARGET, rungs)
    assert found.variance == pytest.approx((0.02 + 3 * binomial) / 4, rel=1e-6)
    assert found.freedom == 4


@pytest.mark.parametrize(
    ("pairs", "low", "high"),
    [([], 0.0, None), ([(4, 0.95)], 0.0, 4.0), ([(4, 0.8)], 4.0, None), ([(4, 0.901)], 0.0, None)],
)
def test_one_side_alone_bounds_there_and_is_no_answer(pairs, low, high):
    found = horizon(TARGET, trials(pairs))
    assert (found.epochs, found.low_epochs, found.high_epochs) == (None, low, high)


def test_two_misses_bound_from_below_only():
    found = horizon(TARGET, trials([(2, 0.5), (4, 0.7)]))
    assert found.epochs is None
    assert found.high_epochs is None or found.high_epochs > 4


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_holds_the_truth_as_often_as_it_says(shape):
    rng = np.random.default_rng(11)
    draws = 120
    hits = sum(
        searched(SHAPES[shape], 16 * 2.0 ** rng.uniform(-3, 1), N, 0.05, rng)[0]
        for _ in range(draws)
    )
    # four binomial standard errors under 95 %, of a fixed seed
    assert hits / draws >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / draws)
