"""The stated 95 % intervals hold a known crossing as often as they say."""

import math

import numpy as np
import pytest

from benchmarks.synthetic_curves import Protocol, TrueCurve, shapes, simulate
from efficiency_bench.fitting.crossing_interval import combine_seeds, crossing_estimate
from efficiency_bench.verify.recount import StepPlan
from tests.ledger.factory import make_target

DRAWS = 1000
TARGET = make_target(value=0.791)


def holds(estimate, true):
    return estimate.low <= true <= (math.inf if estimate.high is None else estimate.high)


@pytest.mark.parametrize(
    ("shape", "val_images", "stops"),
    [
        ("logistic, steep", 50_000, False),
        ("power law", 2_000, True),
        ("logistic, shallow", 400, False),
    ],
)
def test_between_92_and_98_of_100_intervals_hold_the_crossing(shape, val_images, stops):
    generator = np.random.default_rng(4)
    hits = {"sustained": 0, "isotonic": 0}
    for _ in range(DRAWS):
        true = generator.uniform(9, 11)
        protocol = Protocol(val_images, stops, length_epochs=true * (6 if stops else 2))
        curve = simulate(shapes(0.791, true)[shape], TARGET, protocol, generator)
        for kind in hits:
            hits[kind] += holds(crossing_estimate(kind, TARGET, curve, not stops), true)
    for kind, count in hits.items():
        assert 0.92 * DRAWS <= count <= 0.98 * DRAWS, kind


def test_the_first_crossing_is_too_early_and_the_isotonic_is_not():
    generator = np.random.default_rng(5)
    errors = {"first": [], "sustained": [], "isotonic": []}
    truth = shapes(0.791, 10.0)["logistic, shallow"]
    for _ in range(300):
        curve = simulate(truth, TARGET, Protocol(400, False, 20.0), generator)
        for kind, list_of in errors.items():
            value = crossing_estimate(kind, TARGET, curve, True).value
            list_of.append(math.log2(value / 10))
    assert np.mean(errors["first"]) < -0.3
    assert abs(np.mean(errors["isotonic"])) < 0.05
    assert np.std(errors["isotonic"]) < np.std(errors["sustained"])


def test_three_seeds_whose_crossings_spread_by_5_percent():
    generator = np.random.default_rng(6)
    hits = 0
    for _ in range(500):
        true = generator.uniform(9, 11)
        seeds = []
        for _ in range(3):
            own = true * math.exp(0.05 * generator.standard_normal())
            truth = shapes(0.791, own)["logistic"]
            curve = simulate(truth, TARGET, Protocol(10_000, True, 60.0), generator)
            seeds.append(crossing_estimate("sustained", TARGET, curve, False))
        hits += holds(combine_seeds(seeds), true)
    assert 0.92 * 500 <= hits <= 0.98 * 500


def test_simulated_runs_keep_the_cadence_and_the_stop_rule():
    truth = TrueCurve("logistic", 0.791, 10.0, 1.2)
    generator = np.random.default_rng(7)
    curve = simulate(truth, TARGET, Protocol(50_000, True, 60.0), generator)
    config = {
        "recipe": {"epochs": 60.0, "batch_size": 1},
        "evaluation": {"per_epoch": 1, "per_epoch_near": 4},
    }
    recount = StepPlan(config, train_images=4, val_images=50_000, classes=1000)  # a step a quarter
    steps = recount.evaluated_steps(TARGET, curve.accuracies[:-1], 240)
    assert [step / 4 for step in steps] == list(curve.x)
    assert {0.25, 1.0} == set(np.diff(curve.x))
    over = [a >= 0.791 for a in curve.accuracies]
    assert over[-3:] == [True, True, True]
    assert not any(all(over[i : i + 3]) for i in range(len(over) - 3))


@pytest.mark.parametrize("settings", [{}, {"common": 0.7}, {"dispersion": 4.0}])
def test_simulated_errors_have_the_stated_variance_and_correlation(settings):
    # a flat power law: the same expected accuracy at every evaluation
    truth = TrueCurve("power", 0.5, 1.0, steepness=1.0, limit_gap=0.0)
    protocol = Protocol(400, False, 2.0, per_epoch=1, per_epoch_near=1, **settings)
    generator = np.random.default_rng(8)
    target = make_target(value=0.5)
    runs = [simulate(truth, target, protocol, generator).accuracies for _ in range(4000)]
    variance = settings.get("dispersion", 1.0) * 0.25 / 400
    assert np.var(runs) == pytest.approx(variance, rel=0.08)
    correlation = np.corrcoef(np.array(runs).T)[0, 1]
    assert correlation == pytest.approx(settings.get("common", 0.0), abs=0.06)
