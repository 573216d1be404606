"""The decisions of a horizon search: they end, stay in bounds, and depend on the trials alone."""

import math

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from efficiency_bench.horizon.decide import Done, Plan, answer, decide
from tests.ledger.factory import make_target

VAL = 2000


def plan(**overrides):
    fields = {
        "target": make_target(value=0.9),
        "own_epochs": 8.0,
        "steps_per_epoch": 50,
        "val_images": VAL,
        "seeds": 3,
    }
    return Plan(**{**fields, **overrides})


def run(plan, accuracy_of):
    """The whole search: its end and its outcomes; ``accuracy_of(epochs)`` trains a trial."""
    outcomes = {}
    while not isinstance(step := decide(plan, outcomes), Done):
        assert step.rung in plan.rungs
        assert step.seed == len(outcomes.get(step.rung, [])) < plan.seeds
        outcomes.setdefault(step.rung, []).append(accuracy_of(plan.epochs(step.rung)))
        assert sum(map(len, outcomes.values())) <= len(plan.rungs) * plan.seeds
    return step, outcomes


def steep(true):
    return lambda epochs: 1 / (1 + math.exp(-math.log(9) - 2 * math.log2(epochs / true)))


@settings(deadline=None, max_examples=60)
# once asked a rung between the two that had no seed left
@example(seed=2431061, seeds=2, none_share=1.0)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0.0, 1.0))
def test_whatever_trials_give_it_ends_within_its_rungs(seed, seeds, none_share):
    rng = np.random.default_rng(seed)

    def anything(_):
        return None if rng.random() < none_share / 4 else float(rng.integers(VAL + 1)) / VAL

    run(plan(seeds=seeds), anything)


@settings(deadline=None, max_examples=60)
@given(st.floats(-4.0, 4.0))
def test_a_steep_rise_is_found_wherever_it_is(log2_true):
    true = 8 * 2.0**log2_true
    end, outcomes = run(plan(), steep(true))
    found = answer(plan(), outcomes)
    assert end.decided
    assert found.low_epochs <= true <= found.high_epochs
    assert found.log2_width <= 0.32


@settings(deadline=None, max_examples=60)
@given(st.floats(8.0, 300.0), st.floats(-3.0, 2.0))
def test_the_budget_is_never_passed(budget, log2_true):
    limited = plan(budget_epochs=budget)
    end, outcomes = run(limited, steep(8 * 2.0**log2_true))
    spent = sum(limited.epochs(rung) * len(seeds) for rung, seeds in outcomes.items())
    assert spent <= budget
    assert end.reason in ("decided", "budget")


def test_a_target_that_nothing_reaches_ends_at_the_longest_schedule():
    end, outcomes = run(plan(), lambda epochs: 0.5)
    assert end.reason == "too long"
    assert max(outcomes) == plan().rungs[-1]


def test_a_target_that_everything_reaches_ends_at_the_shortest_schedule():
    end, outcomes = run(plan(), lambda epochs: 0.99)
    assert end.reason == "too short"
    # sixteen steps of fifty an epoch: no rung under 0.32 epochs
    assert plan().epochs(min(outcomes)) >= 0.32


def test_a_rung_without_doubt_gets_one_seed():
    _, outcomes = run(plan(), steep(5.5))
    assert len(outcomes[0]) == 1


def test_trials_that_fail_end_the_search():
    end, outcomes = run(plan(), lambda epochs: None)
    assert end.reason == "faults"
    assert sum(map(len, outcomes.values())) == 3


def test_it_needs_far_fewer_trials_than_a_grid():
    _, outcomes = run(plan(), steep(3.0))
    grid = 3 * (max(outcomes) - min(outcomes) + 1)
    assert sum(map(len, outcomes.values())) * 5 < grid
